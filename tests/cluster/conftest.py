"""Installs the chart on the cluster that KUBECONFIG names, as a user would: with kubectl, helm and HTTP.

Nothing runs without KUBECONFIG, so that no cluster is used that nobody named. The images have to be loaded.
The cluster serves the Ingress class nginx at $OPENAISLE_INGRESS_URL (http://127.0.0.1:8080).
"""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml

CHART = pathlib.Path(__file__).resolve().parents[2] / "charts" / "openaisle"
MODEL = "openaisle/tiny-opt"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


class CommandFailed(Exception):
    """A program ended with an error; the text is what it printed."""


def run(*command: str, input: str | None = None, timeout_s: float = 180) -> str:
    result = subprocess.run(
        command, input=input, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if result.returncode:
        raise CommandFailed(f"{' '.join(command)}:\n{result.stdout}{result.stderr}")
    return result.stdout


class Namespace:
    """A namespace of its own for a test, which enforces the Pod Security standard "restricted"."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return run("kubectl", f"--namespace={self.name}", *arguments, **options)

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(objects))

    def get(self, kind: str, name: str = "", *flags: str) -> Any:
        """The object, or the list of objects when no name is given."""
        found = yaml.safe_load(self.kubectl("get", kind, *([name] if name else []), *flags, "-o", "yaml"))
        return found if name else found["items"]

    def helm(self, *arguments: str, values: dict[str, Any] | None = None, timeout_s: float = 240) -> str:
        command = [os.environ.get("HELM", "helm"), f"--namespace={self.name}", *arguments]
        if values is None:
            return run(*command, timeout_s=timeout_s)
        return run(*command, "--values=-", input=yaml.safe_dump(values), timeout_s=timeout_s)

    def install(self, *flags: str, values: dict[str, Any] | None = None, release: str = "openaisle") -> str:
        return self.helm("install", release, str(CHART), *flags, values=values)

    def upgrade(self, *flags: str, values: dict[str, Any] | None = None, release: str = "openaisle") -> str:
        return self.helm("upgrade", release, str(CHART), *flags, values=values)

    def key(self, secret: str = "openaisle-keys") -> str:
        return base64.b64decode(self.get("secret", secret)["data"]["default"]).decode()

    @contextlib.contextmanager
    def port_forward(self, target: str, port: int = 80) -> Iterator[str]:
        """The URL on this machine behind which `kubectl port-forward` leads to the target's port."""
        command = ["kubectl", f"--namespace={self.name}", "port-forward", target, f":{port}"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            try:
                line = process.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", line)
                assert found, line + process.stdout.read()
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()


def wait_for(what: str, ready: Callable[[], Any], timeout_s: float = 90) -> Any:
    """The first true answer of `ready`; it is asked twice a second."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ready()):
        assert time.monotonic() < deadline, f"gave up waiting for {what} after {timeout_s} s"
        time.sleep(0.5)
    return answer


@pytest.fixture(scope="session")
def new_namespace() -> Iterator[Callable[[], Namespace]]:
    if not os.environ.get("KUBECONFIG"):
        pytest.fail("name the cluster to test on in KUBECONFIG", pytrace=False)
    made: list[str] = []

    def make() -> Namespace:
        name = f"openaisle-test-{secrets.token_hex(3)}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        Namespace(name).apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        )
        made.append(name)
        return Namespace(name)

    yield make
    if made:
        run("kubectl", "delete", "namespace", *made, "--wait=false")


@pytest.fixture
def namespace(new_namespace: Callable[[], Namespace]) -> Namespace:
    return new_namespace()


@pytest.fixture(scope="session")
def ingress_url() -> str:
    return os.environ.get("OPENAISLE_INGRESS_URL", "http://127.0.0.1:8080").rstrip("/")


class Release:
    """The release with default values that most tests ask."""

    def __init__(self, namespace: Namespace, ingress_url: str) -> None:
        self.namespace = namespace
        began = time.monotonic()
        self.notes = namespace.install()
        self.key = namespace.key()
        self.client = httpx.Client(
            base_url=ingress_url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        )
        try:
            wait_for("the first completion", lambda: self.complete().status_code == 200, timeout_s=180)
        except AssertionError:
            print(namespace.kubectl("describe", "pods"))
            self.remove()
            raise
        self.seconds_to_first_completion = time.monotonic() - began

    def remove(self) -> None:
        """The Ingress without a host name would hide that of the next release."""
        self.client.close()
        self.namespace.helm("uninstall", "openaisle", "--wait")

    def complete(
        self, prompt: str = "Once upon a time", timeout_s: float = 60, **settings: Any
    ) -> httpx.Response:
        body = {"model": MODEL, "prompt": prompt, "max_tokens": 8, "temperature": 0} | settings
        return self.client.post("/v1/completions", json=body, timeout=timeout_s)


@pytest.fixture(scope="session")
def release(new_namespace: Callable[[], Namespace], ingress_url: str) -> Iterator[Release]:
    release = Release(new_namespace(), ingress_url)
    yield release
    release.remove()


@pytest.fixture(scope="session")
def bystander(release: Release, new_namespace: Callable[[], Namespace]) -> Namespace:
    """A namespace with a pod called `bystander`, which is no part of a release and has Python."""
    namespace = new_namespace()
    deployment = release.namespace.get("deployment", "openaisle-adapter")
    gateway = deployment["spec"]["template"]["spec"]["containers"][0]
    container = {
        "name": "bystander",
        "command": ["sleep", "3600"],
        **{name: gateway[name] for name in ("image", "imagePullPolicy", "securityContext")},
    }
    nobody = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"securityContext": nobody, "terminationGracePeriodSeconds": 0, "containers": [container]}
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bystander"}, "spec": spec})
    namespace.kubectl("wait", "pod/bystander", "--for=condition=Ready", "--timeout=60s")
    return namespace
