"""Weights from a claim and from a Hub, on a cluster without a way out: the Hub is a pod.

What goes wrong with a model there, its name says: tests/fakes/hub.py.
"""

import pathlib
import re

import httpx
import pytest
import yaml

from tests.cluster.conftest import CHART, CommandFailed, wait_for

IMAGE = f"openaisle/opt:{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"
BUNDLED = "/opt/openaisle/models/tiny-opt"
HUB = pathlib.Path(__file__).parents[1] / "fakes" / "hub.py"


def pod(name, command, volumes=(), **environment):
    """A pod of the model server's image that runs another command."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": command,
                    "env": [{"name": name, "value": value} for name, value in environment.items()],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": volume, "mountPath": f"/{volume}"} for volume in volumes],
                }
            ],
            "volumes": [
                {"name": volume, "persistentVolumeClaim": {"claimName": volume}} for volume in volumes
            ],
        },
    }


SERVED = ["lab/from-a-claim", "lab/cut", "lab/slow"]
SMALL = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
"""Resources of models that never come to compute."""

FAULTS = {
    "missing": "fetch: The Hub has no model lab/missing, or it is private; check the id, or set HF_TOKEN.",
    "refused": "fetch: The Hub refused the token for lab/stories (status 401); check HF_TOKEN.",
    "changed": "fetch: model.safetensors of lab/changed has wrong bytes: http://hub:8000 promised the ",
    "unreachable": "fetch: lab/stories could not be fetched: http://nowhere:8000 cannot be reached (",
}


def hub_weights(**more):
    return {"endpoint": "http://hub:8000", "tokenSecret": {"name": "hub-token"}} | more


def model(name, model, weights, **settings):
    return {"name": name, "model": model, "parameters": "10m", "weights": weights} | settings


MODELS = [
    model("claim", "lab/from-a-claim", {"from": "claim", "claimName": "weights", "path": "stories"}),
    model("cut", "lab/cut", hub_weights(cache={"type": "claim"})),
    model("held", "lab/held", hub_weights(), resources=SMALL),
    model("slow", "lab/slow", hub_weights(cache={"type": "shared"}, preload=True), replicas=2),
    model(
        "ahead",
        "lab/missing",
        # A volume that is there: the cluster has few.
        hub_weights(cache={"type": "shared", "claimName": "weights"}, preload=True),
        replicas=0,
    ),
    model("missing", "lab/missing", hub_weights(), resources=SMALL),
    model("refused", "lab/stories", hub_weights(tokenSecret={"name": "old-token"}), resources=SMALL),
    model("changed", "lab/changed", hub_weights(), resources=SMALL),
    model("unreachable", "lab/stories", hub_weights(endpoint="http://nowhere:8000"), resources=SMALL),
]


@pytest.fixture(scope="module")
def gateway(new_namespace):
    """A release with models from a claim and from the Hub, four of which cannot be had."""
    namespace = new_namespace()
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "weights"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
        pod("fill", ["cp", "-r", BUNDLED, "/weights/stories"], volumes=["weights"]),
        pod("hub", ["python3", "-c", HUB.read_text()], FOLDER=BUNDLED, TOKEN="hf_right", SLOW_S="10"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "hub"},
            "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8000}]},
        },
    )
    namespace.kubectl("create", "secret", "generic", "hub-token", "--from-literal=token=hf_right")
    namespace.kubectl("create", "secret", "generic", "old-token", "--from-literal=token=hf_wrong")
    namespace.kubectl("wait", "pod/hub", "--for=condition=Ready", "--timeout=60s")
    namespace.kubectl("wait", "pod/fill", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    namespace.install(
        values={
            "ingress": {"enabled": False},
            "demo": {"enabled": False},
            "adapter": {"waitSeconds": 1},
            "networkPolicy": {"hubPorts": [8000]},
            # All models fit beside the other tests' releases on two small nodes.
            "modelDefaults": {
                "resources": {
                    "requests": {"cpu": "150m", "memory": "512Mi"},
                    "limits": {"cpu": "2", "memory": "2Gi"},
                }
            },
            "models": MODELS,
        }
    )
    namespace.kubectl("rollout", "status", "deployment/openaisle-adapter", "--timeout=90s")
    headers = {"Authorization": f"Bearer {namespace.key()}"}
    with (
        namespace.port_forward("service/openaisle-adapter") as url,
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
    ):
        client.namespace = namespace
        yield client
    namespace.helm("uninstall", "openaisle")
    # The volumes go back to the cluster, for the next run.
    namespace.kubectl("delete", "pvc", "--all", "--wait=false")


def hub_asked(namespace):
    """What the Hub was asked for: {paths, ranges}."""
    with namespace.port_forward("pod/hub", 8000) as url:
        return httpx.get(f"{url}/asked").json()


def test_how_far_a_download_is_is_told_to_whoever_asks_for_the_model(gateway):
    namespace, body = gateway.namespace, {"model": "lab/held", "prompt": "Once", "max_tokens": 1}

    def half_way():
        answer = gateway.post("/v1/completions", json=body)
        assert answer.status_code == 503
        message = answer.json()["error"]["message"]
        return re.search(r"request now: downloading lab/held \(.+ in \d+ files\), [45]\d%\.", message)

    wait_for("half of lab/held", half_way)
    # kubectl forwards no port of a pod that is still at its init containers.
    address = namespace.kubectl("get", "pod", "openaisle-held-0", "-o", "jsonpath={.status.podIP}")
    ask = f"import urllib.request as r; print(r.urlopen('http://{address}:8000/metrics').read().decode())"
    metrics = namespace.kubectl("exec", "deploy/openaisle-adapter", "--", "python3", "-c", ask)
    assert 'openaisle_status{model_name="lab/held",status="downloading"} 1.0' in metrics
    with namespace.port_forward("pod/hub", 8000) as url:
        httpx.get(f"{url}/release")
    wait_for("lab/held", lambda: gateway.post("/v1/completions", json=body).status_code == 200)


def test_of_all_that_share_a_volume_one_fetches_and_the_others_wait(gateway):
    """Two replicas, on two nodes, and the Job that preloads."""
    namespace, waited = gateway.namespace, set()

    def two_have_waited():
        log = namespace.kubectl(
            "logs", "-l", "openaisle.io/model-name=slow", "-c", "download", "--prefix", "--ignore-errors"
        )
        waited.update(line.split()[0] for line in log.splitlines() if "waiting for openaisle-slow-" in line)
        return len(waited) == 2

    wait_for("two that wait", two_have_waited)
    namespace.kubectl("rollout", "status", "statefulset/openaisle-slow", "--timeout=90s")
    namespace.kubectl(
        "wait", "job", "-l", "openaisle.io/model-name=slow", "--for=condition=Complete", "--timeout=60s"
    )
    paths = hub_asked(namespace)["paths"]
    assert paths.count("/lfs/slow/model.safetensors") == 1
    assert paths.count("/api/models/lab/slow/revision/main") == 1


@pytest.mark.parametrize("model", SERVED)
def test_a_model_is_served_under_its_own_name(gateway, model):
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": 8}
    answer = wait_for(
        model,
        lambda: (answer := gateway.post("/v1/completions", json=body)).status_code == 200 and answer,
    )
    assert answer.json()["model"] == model
    assert answer.json()["usage"]["completion_tokens"] == 8


def test_a_download_that_broke_off_went_on(gateway):
    assert any(
        re.fullmatch(r"model.safetensors bytes=\d+-", part) for part in hub_asked(gateway.namespace)["ranges"]
    )


def test_a_download_outlives_its_pod(gateway):
    """The claim of a replica keeps what was fetched: the next pod asks the Hub for nothing."""
    namespace = gateway.namespace
    namespace.kubectl("rollout", "status", "statefulset/openaisle-cut", "--timeout=90s")
    before = [path for path in hub_asked(namespace)["paths"] if "cut" in path]
    namespace.kubectl("delete", "pod", "openaisle-cut-0", "--grace-period=0", "--force")
    namespace.kubectl("rollout", "status", "statefulset/openaisle-cut", "--timeout=90s")
    assert [path for path in hub_asked(namespace)["paths"] if "cut" in path] == before


@pytest.mark.parametrize("name", FAULTS)
def test_why_a_model_is_not_there_is_told_by_describe(gateway, name):
    """The pod's status holds the last lines of the log of a container that failed."""
    described = wait_for(
        f"{name} to fail",
        lambda: (
            FAULTS[name] in (text := gateway.namespace.kubectl("describe", "pod", f"openaisle-{name}-0"))
            and text
        ),
    )
    assert re.search(r"Exit Code: +1\n", described)
    assert "Traceback" not in described


def test_a_job_that_fetches_ahead_in_vain_is_told_by_the_doctor(gateway):
    def told():
        command = ["exec", "deploy/openaisle-adapter", "--", "openaisle", "doctor", "--skip-completion"]
        with pytest.raises(CommandFailed) as failed:
            gateway.namespace.kubectl(*command)
        lines = str(failed.value).splitlines()
        return [line for line in lines if "model ahead: the " in line and FAULTS["missing"] in line]

    (line,) = wait_for("the Job to fail", told)
    assert line.split()[:2] in (["warn", "preload"], ["fail", "preload"])
    assert "its last words: " in line


def test_a_model_that_is_not_there_is_not_ready(gateway):
    answer = gateway.post("/v1/completions", json={"model": "lab/missing", "prompt": "Once"})
    assert answer.status_code == 503
