"""Weights from a claim and from a Hub, on a cluster without a way out: the Hub is a pod."""

import pathlib

import httpx
import pytest
import yaml

from tests.cluster.conftest import CHART, wait_for

IMAGE = f"openaisle/opt:{yaml.safe_load((CHART / 'Chart.yaml').read_text())['appVersion']}"
BUNDLED = "/opt/openaisle/models/tiny-opt"
HUB = pathlib.Path(__file__).with_name("hub.py")


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


@pytest.fixture(scope="module")
def gateway(new_namespace):
    """A release with models from a claim, from the Hub, and one that the Hub doesn't have."""
    namespace = new_namespace()
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "weights"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
        pod("fill", ["cp", "-r", BUNDLED, "/weights/stories"], volumes=["weights"]),
        pod("hub", ["python3", "-c", HUB.read_text()], FOLDER=BUNDLED, TOKEN="hf_right"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "hub"},
            "spec": {"selector": {"app": "hub"}, "ports": [{"port": 8000}]},
        },
    )
    namespace.kubectl("create", "secret", "generic", "hub-token", "--from-literal=token=hf_right")
    namespace.kubectl("wait", "pod/hub", "--for=condition=Ready", "--timeout=60s")
    namespace.kubectl("wait", "pod/fill", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    hub = {"endpoint": "http://hub:8000", "tokenSecret": {"name": "hub-token"}}
    namespace.install(
        values={
            "ingress": {"enabled": False},
            "demo": {"enabled": False},
            "networkPolicy": {"hubPorts": [8000]},
            # Three models at once fit beside the other tests' releases on two small nodes.
            "modelDefaults": {
                "resources": {
                    "requests": {"cpu": "250m", "memory": "1Gi"},
                    "limits": {"cpu": "2", "memory": "2Gi"},
                }
            },
            "models": [
                {
                    "name": "claim",
                    "model": "lab/from-a-claim",
                    "weights": {"from": "claim", "claimName": "weights", "path": "stories"},
                },
                {
                    "name": "hub",
                    "model": "lab/stories",
                    "parameters": "10m",
                    "weights": hub | {"cache": {"type": "claim"}},
                },
                {"name": "missing", "model": "lab/missing", "parameters": "10m", "weights": hub},
            ],
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


@pytest.mark.parametrize("model", ["lab/from-a-claim", "lab/stories"])
def test_a_model_is_served_under_its_own_name(gateway, model):
    body = {"model": model, "prompt": "Once upon a time", "max_tokens": 8}
    answer = wait_for(
        model,
        lambda: (answer := gateway.post("/v1/completions", json=body)).status_code == 200 and answer,
    )
    assert answer.json()["model"] == model
    assert answer.json()["usage"]["completion_tokens"] == 8


def test_a_download_outlives_its_pod(gateway):
    """The claim of a replica keeps what was fetched: the next pod asks the Hub for no file."""
    namespace = gateway.namespace
    namespace.kubectl("rollout", "status", "statefulset/openaisle-hub", "--timeout=90s")
    before = namespace.kubectl("logs", "hub").count('"GET /lab/stories/resolve/')
    namespace.kubectl("delete", "pod", "openaisle-hub-0", "--grace-period=0", "--force")
    namespace.kubectl("rollout", "status", "statefulset/openaisle-hub", "--timeout=90s")
    assert namespace.kubectl("logs", "hub").count('"GET /lab/stories/resolve/') == before


def test_a_model_that_the_hub_lacks_is_named_in_the_log(gateway):
    def log():
        return gateway.namespace.kubectl(
            "logs", "-l", "openaisle.io/model-name=missing", "--tail=20", "--ignore-errors"
        )

    line = "The Hub has no model lab/missing, or it is private; check the id, or set HF_TOKEN."
    wait_for("the message", lambda: line in log(), timeout_s=60)
    answer = gateway.post("/v1/completions", json={"model": "lab/missing", "prompt": "Once"})
    assert answer.status_code == 503
