"""`openaisle doctor` on a release in which much is wrong at once, asked in its pod and from outside."""

import json
import subprocess
import sys
import time

import pytest

from tests.cluster.conftest import CommandFailed, run, wait_for

SMALL = {"requests": {"cpu": "50m", "memory": "200Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
NODE = "simulated-doctor"
PRODUCT = "Card-Of-The-Doctor"

MODELS = [
    {"name": "good"},
    {"name": "no-node", "gpuFamily": "kepler"},
    {
        "name": "no-gpus",
        "gpuFamily": "ours",
        "gpus": 2,
        "engine": "vllm",
        "model": "lab/opt",
        "image": "x.invalid/y:1",
    },
    {"name": "no-image", "image": "registry.invalid/opt:1"},
    {"name": "no-start", "extraArgs": ["--no-such-flag"]},
    {
        "name": "no-hub",
        "model": "lab/opt",
        "parameters": "10m",
        "weights": {"endpoint": "http://hub.invalid:8000"},
    },
    {
        "name": "no-token",
        "model": "lab/opt",
        "parameters": "10m",
        "weights": {"endpoint": "http://hub.invalid:8000", "tokenSecret": {"name": "hub-token"}},
    },
    {
        "name": "no-volume",
        "model": "lab/opt",
        "parameters": "10m",
        "weights": {"from": "claim", "claimName": "weights"},
    },
]
VALUES = {
    "adapter": {"waitSeconds": 1},
    "ingress": {"className": "no-such-class", "host": "doctor.example.org"},
    "demo": {"enabled": False},
    "doctor": {"clusterAccess": True, "waitSeconds": 5},
    "gpuFamilies": {
        "ours": {
            "resourceName": "nvidia.com/gpu",
            "imageVariants": ["cu126"],
            "dtype": "float16",
            "gpus": [{"memoryGiB": 16, "nodeLabels": {"nvidia.com/gpu.product": [PRODUCT]}}],
        }
    },
    "modelDefaults": {"resources": SMALL},
    "models": MODELS,
}


def report(output):
    """(status, check, text and cure) of each finding of `--json`."""
    return [
        (finding["status"], finding["check"], f"{finding['text']} -> {finding['cure']}")
        for finding in json.loads(output)["findings"]
    ]


def matches(findings, status, check, *parts):
    return any(found[:2] == (status, check) and all(part in found[2] for part in parts) for found in findings)


@pytest.fixture(scope="module")
def patient(new_namespace):
    namespace = new_namespace()
    gpu_node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"nvidia.com/gpu.product": PRODUCT, "nvidia.com/cuda.driver.major": "470"},
        },
        "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
        "status": {
            kind: {"cpu": "8", "memory": "64Gi", "pods": "110", "nvidia.com/gpu": "1"}
            for kind in ("capacity", "allocatable")
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "weights"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "no-such-class",
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }
    namespace.apply(gpu_node, claim)
    namespace.kubectl("create", "secret", "generic", "hub-token", "--from-literal=token=hf_x")
    try:
        namespace.install(values=VALUES)
        namespace.kubectl("delete", "secret", "hub-token")
        namespace.kubectl("delete", "pod", "openaisle-no-token-0", "--grace-period=0", "--force")
        namespace.kubectl("rollout", "status", "deployment/openaisle-adapter", "--timeout=90s")
        namespace.kubectl("rollout", "status", "statefulset/openaisle-good", "--timeout=120s")
        yield namespace
    finally:
        namespace.helm("uninstall", "openaisle", "--ignore-not-found")
        run("kubectl", "delete", "node", NODE, "--wait=false")


def examine(namespace, *flags):
    """The exit code and what the program in the gateway's pod printed."""
    command = ["kubectl", f"--namespace={namespace.name}", "exec", "deploy/openaisle-adapter", "--"]
    result = subprocess.run(
        [*command, "openaisle", "doctor", *flags], capture_output=True, text=True, timeout=120, check=False
    )
    return result.returncode, result.stdout


FAULTS = {
    "no node of the family": (
        "nodes",
        "model no-node: no node has the labels that it asks for (family kepler, ",
        "Tesla-K80",
        "choose a gpuFamily for what the nodes have (",
    ),
    "fewer GPUs than asked for": (
        "nodes",
        f"a replica asks for 2 x nvidia.com/gpu, and the node of its family with the most, {NODE}, has 1",
        "kubectl get nodes -o custom-columns=",
    ),
    "a pod that is Pending": (
        "pods",
        "model no-node: the pod openaisle-no-node-0 is Pending:",
        "no node of the family kepler has room",
    ),
    "an image that isn't there": (
        "pods",
        "the pod openaisle-no-image-0 gets no image registry.invalid/opt:1",
        "image.registry",
    ),
    "a flag that doesn't exist": (
        "pods",
        "the pod openaisle-no-start-0 ends again and again",
        "--no-such-flag",
        "logs openaisle-no-start-0",
    ),
    "a missing token": (
        "pods",
        'secret "hub-token" not found',
        "create secret generic hub-token",
    ),
    "a volume of no class": (
        "storage",
        "the claim weights isn't bound",
        "its StorageClass no-such-class doesn't exist; the classes are: standard",
    ),
    "a Hub that isn't there": ("hub", "http://hub.invalid:8000", "the name hub.invalid isn't resolved"),
    "an Ingress class that isn't there": (
        "ingress",
        "the IngressClass no-such-class of the Ingress openaisle doesn't exist",
        "write ingress.className: nginx",
    ),
}


def test_every_fault_is_named_with_its_cure(patient):
    deadline = time.monotonic() + 90
    while True:
        status, output = examine(patient, "--json")
        assert status == 1, output
        findings = report(output)
        missing = [name for name, wanted in FAULTS.items() if not matches(findings, "fail", *wanted)]
        if not missing:
            break
        assert time.monotonic() < deadline, (missing, findings)
        time.sleep(2)
    assert matches(findings, "ok", "nodes", "model good: may run on")
    assert matches(findings, "ok", "pods", "model good: 1 of 1 pods ready")
    assert matches(findings, "ok", "keys", "default")
    assert matches(findings, "ok", "dns")
    assert matches(findings, "ok", "completion", "openaisle/tiny-opt: 'Once upon a time")


def test_the_lines_are_for_people(patient):
    status, output = examine(patient)
    assert status == 1
    assert f"Release openaisle in the namespace {patient.name}:" in output
    assert "ok       dns         kubernetes.default.svc is resolved" in output
    assert "-> write ingress.className: nginx" in output
    assert "(docs/troubleshooting.md#no-address)" in output


def test_it_runs_outside_with_a_kubeconfig(patient, root):
    command = [sys.executable, root / "images/adapter/openaisle", "doctor", "--json"]
    result = subprocess.run(
        [*command, f"--namespace={patient.name}"], capture_output=True, text=True, timeout=60, check=False
    )
    findings = report(result.stdout)
    assert result.returncode == 1
    assert matches(findings, "ok", "pods", "model good: 1 of 1 pods ready")
    assert matches(findings, "skipped", "completion", "exec deploy/openaisle-adapter -- openaisle doctor")


def test_helm_test_names_the_cause(patient):
    with pytest.raises(CommandFailed) as failed:
        patient.helm("test", "openaisle", "--logs", timeout_s=300)
    output = str(failed.value)
    assert "ok    401 without key" in output
    assert "FAIL  completion:" in output
    assert "What `openaisle doctor` finds:" in output
    assert "the pod openaisle-no-node-0 is Pending" in output
    assert "no node of the family kepler has room" in output


def test_without_access_to_the_cluster_it_says_what_it_cannot_see(patient):
    models = [model for model in MODELS if model["name"] != "no-token"]
    patient.upgrade(values=VALUES | {"models": models, "doctor": {"waitSeconds": 5}})
    status, output = examine(patient, "--json")
    assert status == 1
    findings = report(output)
    for check in ("nodes", "drivers", "pressure"):
        assert matches(
            findings, "skipped", check, "may not list nodes", "doctor.clusterAccess", "kubectl get nodes"
        ) or (matches(findings, "skipped", check, "may not list nodes", "kubectl describe nodes"))
    assert matches(findings, "warn", "ingress", "no controller has given", "kubectl get ingressclass")
    assert matches(findings, "fail", "pods", "the pod openaisle-no-node-0 is Pending")


def test_as_a_job_it_ends_an_install_that_is_not_well(namespace):
    values = {
        "models": [],
        "demo": {"enabled": False},
        "ingress": {"className": "no-such-class", "host": "doctor.example.org"},
        "doctor": {"job": True, "clusterAccess": True, "waitSeconds": 60},
    }
    try:
        with pytest.raises(CommandFailed) as failed:
            namespace.install(values=values)
        assert "job openaisle-doctor failed" in str(failed.value)
        # Helm prints it from version 3.18 on.
        log = str(failed.value) + namespace.kubectl("logs", "job/openaisle-doctor")
        assert "ok       pods        adapter: 1 of 1 pods ready" in log
        assert "fail     ingress     the IngressClass no-such-class" in log
        namespace.upgrade(values=values | {"ingress": {"enabled": False}})
    finally:
        namespace.helm("uninstall", "openaisle", "--ignore-not-found")


def test_a_missing_secret_of_keys(namespace, root):
    namespace.kubectl("create", "secret", "generic", "ours", "--from-literal=alice=sk-12345678")
    values = {"models": [], "ingress": {"enabled": False}, "demo": {"enabled": False}}
    namespace.install(values=values | {"auth": {"existingSecret": "ours"}})
    namespace.kubectl("delete", "secret", "ours")
    namespace.kubectl(
        "delete", "pod", "-l", "app.kubernetes.io/component=adapter", "--grace-period=0", "--force"
    )
    command = [sys.executable, root / "images/adapter/openaisle", "doctor", "--json"]

    def named():
        result = subprocess.run(
            [*command, f"--namespace={namespace.name}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return matches(report(result.stdout), "fail", "pods", 'secret "ours" not found', "make the Secret")

    wait_for("the doctor to see it", named, timeout_s=60)
    namespace.helm("uninstall", "openaisle")
