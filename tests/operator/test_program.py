"""What the program says when it cannot start."""

import subprocess
import sys

import pytest


@pytest.fixture
def start(root, chart, helm, tmp_path):
    """start(flags) -> the exit code and what it printed."""

    def run(**flags):
        given = {
            "namespace": "lab",
            "release": "openaisle",
            "values-dir": tmp_path,
            "chart-dir": chart,
            "helm": helm,
        }
        command = [f"--{key}={value}" for key, value in {**given, **flags}.items()]
        result = subprocess.run(
            [sys.executable, "-m", "openaisle_operator", *command],
            cwd=root / "images/operator",
            env={"HOME": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return result.returncode, result.stderr

    return run


def test_no_helm(start):
    assert start(helm="/none/helm") == (1, "There is no program /none/helm: name helm in --helm.\n")


def test_no_chart(start, tmp_path):
    code, message = start(**{"chart-dir": tmp_path})
    assert code == 1
    assert message == f"{tmp_path} holds no chart: name its folder in --chart-dir.\n"


def test_no_release(start, tmp_path):
    code, message = start()
    assert code == 1
    assert message.startswith(f"{tmp_path}/release.yaml can't be read (No such file or directory)")


@pytest.mark.parametrize("content", ["", "[]", "values: {", "chartVersion: 0.2.0"])
def test_a_release_that_cannot_be_read(start, tmp_path, content):
    (tmp_path / "release.yaml").write_text(content)
    code, message = start()
    assert code == 1
    assert "release.yaml isn't what the chart writes" in message
    assert "Traceback" not in message


def test_no_cluster(start, tmp_path):
    (tmp_path / "release.yaml").write_text('{chartVersion: "0.2.0", values: {}, models: []}')
    assert start() == (1, "The operator needs a Kubernetes cluster: run it in a pod, or set KUBECONFIG.\n")
