"""The commands at the top of the chart's README, as they stand there, one after the other in one shell.

The first of these tests by name: its Ingress has no host name, and neither has that of the release which most
of the others ask.
"""

import os
import pathlib
import re
import subprocess
import time

import pytest

from tests.cluster.conftest import CHART, CommandFailed, run

PAGE = (CHART / "README.md").read_text()
SECTION = PAGE.split("## The first minute\n")[1].split("\n## ")[0]
COMMANDS = re.findall(r"^\$ ((?:.*\\\n)*.*)", SECTION, re.MULTILINE)
BROWSER = re.search(r"http://127\.0\.0\.1:\d+/", SECTION)
MARK = "== next =="


@pytest.fixture
def free_namespace():
    try:
        run("kubectl", "get", "namespace", "openaisle")
    except CommandFailed:
        pass
    else:
        pytest.fail("the README installs into the namespace openaisle, which this cluster has already")
    yield
    run("helm", "uninstall", "openaisle", "-n", "openaisle", "--wait", "--ignore-not-found")
    run("kubectl", "delete", "namespace", "openaisle", "--wait=false")


def test_the_readme_leads_from_nothing_to_a_streamed_completion_and_the_page(root, free_namespace):
    assert BROWSER
    assert len(COMMANDS) == 6
    commands = [*COMMANDS, f"curl -s {BROWSER[0]}"]
    # A person takes a second from one to the next; a port-forward ends with the terminal.
    script = "set -e\ntrap 'kill $(jobs -p)' EXIT\n" + f"\nsleep 1\necho '{MARK}'\n".join(commands)
    environment = dict(os.environ)
    if helm := os.environ.get("HELM"):
        environment["PATH"] = f"{pathlib.Path(helm).parent}:{environment['PATH']}"
    began = time.monotonic()
    result = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=180,
        cwd=root,
        env=environment,
        check=False,
    )
    seconds = time.monotonic() - began
    assert result.returncode == 0, result.stdout + result.stderr
    print(result.stdout, f"all of it: {seconds:.1f} s", sep="\n")
    installed, pods, _, _, stream, checks, shown = result.stdout.split(f"{MARK}\n")
    assert "STATUS: deployed" in installed
    assert re.search(r"openaisle-tiny-opt-0 +1/1 +Running .* tiny-opt +cpu\n", pods)
    assert stream.rstrip().endswith("data: [DONE]")
    assert checks.count("\nok    ") == 6
    assert "FAIL" not in checks
    assert "<html" in shown
    assert seconds < 90
