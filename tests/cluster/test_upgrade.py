"""`helm upgrade` and `helm rollback`."""

import json
import pathlib
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import yaml

from tests.cluster.conftest import CHART, MODEL, CommandFailed, Namespace, Release, wait_for

LOAD = pathlib.Path(__file__).parent / "load.py"
RELEASED = sorted((pathlib.Path(__file__).parent / "released").glob("*.tgz"))
"""Each released version of the chart, as `helm package` made it."""
ABOUT: dict[str, str] = yaml.safe_load((CHART / "Chart.yaml").read_text())


def wait_for_rollouts(installed: Namespace) -> None:
    workloads = installed.kubectl("get", "deployments,statefulsets", "-o", "name").split()
    for workload in workloads:
        installed.kubectl("rollout", "status", workload, "--timeout=150s", timeout_s=160)


@contextmanager
def load(
    installed: Namespace, key: str, bystander: Namespace, model: str = MODEL, clients: int = 2
) -> Iterator[list[str]]:
    """Clients that ask one completion after the other, half of them streamed; gives what each answer was.

    They ask the gateway's Service from within the cluster: an Ingress controller may have faults of its own.
    Traefik, for one, closes its connections to all gateways when it hears of another one, and cuts streams.
    """
    host = f"openaisle-adapter.{installed.name}"
    script = [LOAD.read_text(), host, key, model, str(clients)]
    command = ["kubectl", "-n", bystander.name, "exec", "-i", "bystander", "--", "python3", "-c", *script]
    outcomes: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        reader = threading.Thread(target=lambda lines=process.stdout: outcomes.extend(map(str.strip, lines)))
        reader.start()
        try:
            yield outcomes
        finally:
            process.stdin.close()
            reader.join()
    assert process.returncode == 0


def test_an_upgrade_keeps_the_key(release):
    release.namespace.upgrade()
    assert release.namespace.key() == release.key
    assert release.complete().status_code == 200


def test_an_upgrade_without_changes_restarts_nothing(release):
    before = {pod["metadata"]["uid"] for pod in release.namespace.get("pods")}
    release.namespace.upgrade()
    wait_for_rollouts(release.namespace)
    assert before <= {pod["metadata"]["uid"] for pod in release.namespace.get("pods")}


def changed(revision: str, **model: Any) -> dict[str, Any]:
    """Values under which every pod is another one than with another revision."""
    annotations = {"podAnnotations": {"revision": revision}}
    small = {"requests": {"cpu": "200m", "memory": "600Mi"}}
    return {
        "models": [{"name": "tiny-opt", "resources": small} | annotations | model],
        "adapter": annotations,
        "demo": annotations,
    }


@pytest.mark.parametrize(
    "model", [{"replicas": 1}, {"replicas": 2}, {"rollout": "surge"}], ids=["swap", "one-by-one", "surge"]
)
def test_upgrade_and_rollback_under_load_lose_no_request(release, bystander, model):
    release.namespace.upgrade(values=changed("1", **model))
    wait_for_rollouts(release.namespace)
    with load(release.namespace, release.key, bystander) as outcomes:
        release.namespace.upgrade(values=changed("2", **model))
        wait_for_rollouts(release.namespace)
        release.namespace.helm("rollback", "openaisle")
        wait_for_rollouts(release.namespace)
        time.sleep(1)
    assert len(outcomes) > 30
    assert set(outcomes) == {"200"}


def test_a_surge_leaves_the_model_with_a_ready_replica_at_every_moment(release):
    release.namespace.upgrade(values=changed("1", rollout="surge"))
    wait_for_rollouts(release.namespace)
    ready: list[int] = []
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            slices = release.namespace.get(
                "endpointslices", "", "-l", "kubernetes.io/service-name=openaisle-tiny-opt"
            )
            endpoints = [endpoint for item in slices for endpoint in item["endpoints"] or []]
            ready.append(sum(endpoint["conditions"]["ready"] for endpoint in endpoints))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        release.namespace.upgrade(values=changed("2", rollout="surge"))
        wait_for_rollouts(release.namespace)
        release.namespace.helm("rollback", "openaisle")
        wait_for_rollouts(release.namespace)
    finally:
        stop.set()
        thread.join()
    assert len(ready) > 5
    assert min(ready) >= 1
    assert max(ready) == 2


def test_another_rollout_and_an_eviction_under_load_lose_no_request(release, bystander):
    release.namespace.upgrade(values=changed("1", rollout="surge"))
    wait_for_rollouts(release.namespace)
    with load(release.namespace, release.key, bystander) as outcomes:
        release.namespace.upgrade(values=changed("1", rollout="swap"))
        wait_for_rollouts(release.namespace)
        evict(release, "openaisle-tiny-opt-0")
        wait_for_rollouts(release.namespace)
        time.sleep(1)
    assert set(outcomes) == {"200"}


def evict(release: Release, pod: str) -> None:
    """What a drain of the pod's node asks for."""
    namespace = release.namespace.name
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"

    def evicted() -> bool:
        try:
            release.namespace.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(eviction))
        except CommandFailed as error:
            # The budget still counts a pod of the rollout before; a drain asks again, too.
            if "TooManyRequests" not in str(error):
                raise
            return False
        return True

    wait_for("the disruption budget", evicted, timeout_s=60)
    release.namespace.kubectl("wait", f"pod/{pod}", "--for=delete", "--timeout=90s")


@pytest.mark.parametrize("chart", RELEASED, ids=lambda chart: chart.stem)
def test_an_upgrade_from_a_released_chart_and_back_keeps_key_and_values_and_loses_no_request(
    new_namespace, bystander, chart
):
    namespace = new_namespace()
    # Two, since the gateway of 0.1.0 doesn't wait for a model's only replica.
    small = {"requests": {"cpu": "200m", "memory": "600Mi"}}
    model = {"name": "m", "servedModelName": "ours", "replicas": 2, "resources": small}
    values = {
        "ingress": {"enabled": False},
        "adapter": {"gracePeriodSeconds": 20},
        # The images of that version need not be there: it is the chart that is upgraded.
        "image": {"tag": ABOUT["appVersion"]},
        "models": [model],
    }
    namespace.helm("install", "openaisle", str(chart), values=values)
    key = namespace.key()
    wait_for_rollouts(namespace)
    with load(namespace, key, bystander, model="ours") as outcomes:
        wait_for("a completion", lambda: "200" in outcomes)
        namespace.upgrade("--reset-then-reuse-values", "--set=image.tag=")
        wait_for_rollouts(namespace)
        namespace.helm("rollback", "openaisle")
        wait_for_rollouts(namespace)
        namespace.helm("rollback", "openaisle", "2")
        wait_for_rollouts(namespace)
        time.sleep(1)
    assert set(outcomes) == {"200"}
    assert namespace.key() == key
    with namespace.port_forward("service/openaisle-demo") as url:
        body = {"model": "ours", "prompt": "Once upon a time", "max_tokens": 4}
        answer = httpx.post(f"{url}/v1/completions", json=body, auth=("", key), timeout=60)
    assert answer.status_code == 200, answer.text
    adapter = namespace.get("deployment", "openaisle-adapter")
    assert adapter["metadata"]["labels"]["helm.sh/chart"] == f"openaisle-{ABOUT['version']}"
    assert "--grace-period-s=20" in adapter["spec"]["template"]["spec"]["containers"][0]["args"]
    namespace.helm("uninstall", "openaisle", "--wait")


def test_a_new_key_and_its_limits_arrive_without_a_restart(release):
    def gateways() -> set[str]:
        pods = release.namespace.get("pods", "", "-l", "app.kubernetes.io/component=adapter")
        return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}

    def ask() -> httpx.Response:
        headers = {"Authorization": "Bearer sk-alice-0123456789"}
        body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 1}
        return release.client.post("/v1/completions", headers=headers, json=body)

    release.namespace.upgrade("--reset-values")
    wait_for_rollouts(release.namespace)
    before = gateways()
    patch = '{"stringData": {"alice": "sk-alice-0123456789"}}'
    release.namespace.kubectl("patch", "secret", "openaisle-keys", "-p", patch)
    limits = {"default": {"requestsPerMinute": 900}, "keys": {"alice": {"requestsPerMinute": 2}}}
    release.namespace.upgrade(values={"auth": {"limits": limits}})
    wait_for(
        "the key and its limits",
        lambda: ask().headers.get("x-ratelimit-limit-requests") == "2",
        timeout_s=120,
    )
    wait_for("the end of alice's minute", lambda: ask().status_code == 429, timeout_s=10)
    assert release.complete().headers["x-ratelimit-limit-requests"] == "900"
    release.namespace.upgrade("--reset-values")
    wait_for("no limits", lambda: "x-ratelimit-limit-requests" not in ask().headers, timeout_s=120)
    assert ask().status_code == 200
    assert gateways() == before
    assert set(release.namespace.get("secret", "openaisle-keys")["data"]) == {"default", "alice"}
