"""`helm upgrade` and `helm rollback`."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.cluster.conftest import Release


def wait_for_rollouts(release: Release) -> None:
    for workload in (
        "deployment/openaisle-adapter",
        "deployment/openaisle-demo",
        "statefulset/openaisle-tiny-opt",
    ):
        release.namespace.kubectl("rollout", "status", workload, "--timeout=150s", timeout_s=160)


@contextmanager
def load(release: Release, clients: int = 4) -> Iterator[list[str]]:
    """Clients that ask one completion after the other; gives the list of what each answer was."""
    outcomes: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = release.complete(max_tokens=16)
                outcomes.append(str(answer.status_code) if answer.status_code == 200 else answer.text)
            except httpx.HTTPError as error:
                outcomes.append(repr(error))
            time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_an_upgrade_keeps_the_key(release):
    release.namespace.upgrade()
    assert release.namespace.key() == release.key
    assert release.complete().status_code == 200


def test_an_upgrade_without_changes_restarts_nothing(release):
    before = {pod["metadata"]["uid"] for pod in release.namespace.get("pods")}
    release.namespace.upgrade()
    wait_for_rollouts(release)
    assert before <= {pod["metadata"]["uid"] for pod in release.namespace.get("pods")}


def test_upgrade_and_rollback_under_load_lose_no_request(release):
    two_replicas = {"models": [{"name": "tiny-opt", "replicas": 2}]}
    release.namespace.upgrade(values=two_replicas)
    wait_for_rollouts(release)
    changed = {
        "models": [{"name": "tiny-opt", "replicas": 2, "podAnnotations": {"revision": "2"}}],
        "adapter": {"podAnnotations": {"revision": "2"}},
        "demo": {"podAnnotations": {"revision": "2"}},
    }
    with load(release) as outcomes:
        time.sleep(2)
        release.namespace.upgrade(values=changed)
        wait_for_rollouts(release)
        release.namespace.helm("rollback", "openaisle")
        wait_for_rollouts(release)
        time.sleep(2)
    assert len(outcomes) > 50
    assert set(outcomes) == {"200"}


def test_a_new_key_arrives_without_a_restart(release):
    patch = '{"stringData": {"alice": "sk-alice-0123456789"}}'
    release.namespace.kubectl("patch", "secret", "openaisle-keys", "-p", patch)
    headers = {"Authorization": "Bearer sk-alice-0123456789"}
    deadline = time.monotonic() + 120
    while release.client.get("/v1/models", headers=headers).status_code != 200:
        assert time.monotonic() < deadline, "the key did not arrive within two minutes"
        time.sleep(2)
    release.namespace.upgrade()
    assert set(release.namespace.get("secret", "openaisle-keys")["data"]) == {"default", "alice"}
