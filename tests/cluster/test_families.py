"""Every GPU family on simulated nodes (KWOK): scheduling is real, the pods there are not.

For each label by which a family in values.yaml tells its GPUs there is a node that has only this label. The
labels are those that NVIDIA's GPU feature discovery, AMD's node labeller, GKE and Karpenter set.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.cluster.conftest import CHART, CommandFailed, run, wait_for

PRODUCT, GKE = "nvidia.com/gpu.product", "cloud.google.com/gke-accelerator"
MEMORY = "karpenter.k8s.aws/instance-gpu-memory"
GPUS_OF_A_NODE = 8

FAMILIES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())["gpuFamilies"]
SIZED = [name for name, family in FAMILIES.items() if family.get("gpus")]
SLICES = [name for name in SIZED if name.startswith("mig-")]
# The device plugin's strategy "mixed": the resource's name tells the slice.
MIXED = {"resourceName": "nvidia.com/mig-1g.10gb", "imageVariants": ["cu126"], "gpus": [{"memoryGiB": 9.5}]}


def largest(family: str) -> dict[str, Any]:
    gpu: dict[str, Any] = max(FAMILIES[family]["gpus"], key=lambda gpu: gpu["memoryGiB"])
    return gpu


def smallest(family: str) -> dict[str, Any]:
    gpu: dict[str, Any] = min(FAMILIES[family]["gpus"], key=lambda gpu: gpu["memoryGiB"])
    return gpu


def simulated_nodes() -> dict[str, tuple[dict[str, str], str]]:
    """Labels and resource name of the nodes, by name."""
    nodes: dict[str, tuple[dict[str, str], str]] = {}
    for family in SIZED:
        resource = FAMILIES[family]["resourceName"]
        for number, (label, values) in enumerate(largest(family)["nodeLabels"].items()):
            labels = {label: values[0]}
            if label == "karpenter.k8s.aws/instance-gpu-name":
                labels[MEMORY] = str(int(largest(family)["memoryGiB"] * 1024))
            nodes[f"{family}-{number}"] = (labels, resource)
        if smallest(family) is not largest(family):
            label, values = next(iter(smallest(family)["nodeLabels"].items()))
            nodes[f"{family}-small"] = ({label: values[0]}, resource)
    nodes["turing-shared"] = ({PRODUCT: "Tesla-T4-SHARED"}, "nvidia.com/gpu")
    nodes["mixed"] = ({PRODUCT: "NVIDIA-A100-SXM4-80GB"}, "nvidia.com/mig-1g.10gb")
    slices = {GKE: "nvidia-a100-80gb", "cloud.google.com/gke-gpu-partition-size": "7g.80gb"}
    nodes["gke-sliced"] = (slices, "nvidia.com/gpu")
    # A sixth of an L4, as AWS' g6f.large has.
    fraction = {"karpenter.k8s.aws/instance-gpu-name": "l4", MEMORY: "2861"}
    nodes["karpenter-fraction"] = (fraction, "nvidia.com/gpu")
    auto = {"eks.amazonaws.com/instance-gpu-name": "a10g", "eks.amazonaws.com/instance-gpu-memory": "22888"}
    nodes["eks-auto"] = (auto, "nvidia.com/gpu")
    shared = {GKE: "nvidia-tesla-t4", "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing"}
    nodes["gke-shared"] = (shared, "nvidia.com/gpu")
    return nodes


NODES = simulated_nodes()


def nodes_of(*families: str, small: bool = True) -> set[str]:
    return {
        f"{family}-{number}" for family in families for number in (0, 1, 2, *(["small"] if small else []))
    }


def cases() -> dict[str, tuple[dict[str, Any], set[str]]]:
    """Settings of a model and the nodes that it may land on (none: it stays Pending), by the model's name."""
    models: dict[str, tuple[dict[str, Any], set[str]]] = {}
    for family in SIZED:
        whole = {"gpuFamily": family, "engine": "vllm", "image": "vllm"}
        half_b = (
            largest(family)["memoryGiB"]
            * 0.6
            * 2**30
            / 1e9
            / (4 if FAMILIES[family]["dtype"] == "float32" else 2)
        )
        models[f"{family}-one"] = ({"gpuFamily": family}, nodes_of(family))
        if family in SLICES:
            continue
        models[f"{family}-four"] = (whole | {"gpus": 4}, nodes_of(family))
        models[f"{family}-sixteen"] = (whole | {"gpus": 16}, set())
        models[f"{family}-large"] = (
            {"gpuFamily": family, "parameters": f"{half_b:.1f}b", "contextLength": 128},
            nodes_of(family, small=False),
        )
    models["eks-auto"] = ({"gpuFamily": "ampere", "nodeSelector": {"simulated": "eks-auto"}}, {"eks-auto"})
    for name in ("ampere-one", "ampere-four"):
        models[name][1].add("eks-auto")
    for name in ("ada-one", "ada-four"):
        models[name][1].add("karpenter-fraction")
    nvidia = {name for name, (_, resource) in NODES.items() if resource == "nvidia.com/gpu"}
    models["nvidia"] = ({"gpuFamily": "nvidia"}, nvidia)
    models["amd"] = ({"gpuFamily": "amd"}, nodes_of("amd-mi100", "amd-mi200", "amd-mi300", "amd-mi350"))
    models["mixed"] = ({"gpuFamily": "mixed"}, {"mixed"})
    models["shared"] = (
        {"gpuFamily": "turing", "sharedGpus": True},
        nodes_of("turing") | {"turing-shared", "gke-shared"},
    )
    models["only-shared"] = ({"gpuFamily": "turing", "nodeSelector": {"simulated": "turing-shared"}}, set())
    models["only-gke-shared"] = ({"gpuFamily": "turing", "nodeSelector": {"simulated": "gke-shared"}}, set())
    fraction_only = {
        "gpuFamily": "ada",
        "parameters": "1.3b",
        "nodeSelector": {"simulated": "karpenter-fraction"},
    }
    models["only-karpenter-fraction"] = (fraction_only, set())
    models["only-gke-sliced"] = ({"gpuFamily": "ampere", "nodeSelector": {"simulated": "gke-sliced"}}, set())
    models["preferred"] = ({"gpuFamily": ["blackwell", "hopper"]}, nodes_of("blackwell"))
    models["second-choice"] = (
        {"gpuFamily": ["turing", "volta"], "nodeSelector": {"simulated": "volta-0"}},
        {"volta-0"},
    )
    return models


CASES = cases()


def node(name: str, labels: dict[str, str], resource: str) -> dict[str, Any]:
    size = {
        "cpu": "64",
        "memory": "16Ti",
        "pods": "110",
        "ephemeral-storage": "10Ti",
        resource: str(GPUS_OF_A_NODE),
    }
    taint = "amd.com/gpu" if resource.startswith("amd.com/") else "nvidia.com/gpu"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"simulated-{name}",
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"simulated": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
            | labels,
        },
        "spec": {"taints": [{"key": taint, "value": "present", "effect": "NoSchedule"}]},
        "status": {"capacity": size, "allocatable": size},
    }


@pytest.fixture(scope="module")
def nodes(new_namespace):
    """Adds the simulated nodes, and takes them away again."""
    new_namespace().apply(*(node(name, *settings) for name, settings in NODES.items()))
    names = [f"node/simulated-{name}" for name in NODES]
    try:
        try:
            run("kubectl", "wait", *names, "--for=condition=Ready", "--timeout=30s")
        except CommandFailed:
            pytest.skip("the cluster simulates no nodes; install KWOK on it")
        yield
    finally:
        run("kubectl", "delete", "--wait=false", *names)


@pytest.fixture(scope="module")
def pods(nodes, new_namespace):
    """Installs all the models at once; pods by the model's name, once the scheduler has seen each."""
    namespace = new_namespace()
    models = [
        {"name": name.replace(".", "-"), "model": "facebook/opt-125m", "tolerations": []} | settings
        for name, (settings, _) in CASES.items()
    ]
    namespace.install(
        values={
            "ingress": {"enabled": False},
            "networkPolicy": {"enabled": False},
            "podDisruptionBudget": {"enabled": False},
            "adapter": {"replicas": 0},
            "demo": {"enabled": False},
            "gpuFamilies": {"mixed": MIXED},
            "models": models,
        }
    )

    def scheduled():
        found = {
            pod["metadata"]["labels"]["openaisle.io/model-name"]: pod
            for pod in namespace.get("pods", "", "-l", "app.kubernetes.io/component=opt")
        }
        return found if sum(reason(pod) is not None for pod in found.values()) == len(CASES) else None

    found = wait_for("the scheduler", scheduled, timeout_s=90)
    yield found
    namespace.helm("uninstall", "openaisle")


def reason(pod: dict[str, Any]) -> str | None:
    """What the scheduler says of the pod; None before it has looked at it."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled":
            return f"{condition.get('reason', '')}: {condition.get('message', '')}"
    return None


@pytest.mark.parametrize("name", CASES)
def test_a_model_lands_on_a_node_of_its_family_or_stays_pending_and_says_why(pods, name):
    _, wanted = CASES[name]
    pod = pods[name.replace(".", "-")]
    landed = pod["spec"].get("nodeName")
    if wanted:
        assert landed, reason(pod)
        assert landed.removeprefix("simulated-") in wanted
    else:
        assert landed is None
        why = "node affinity" if name.startswith("only-") else "Insufficient"
        told = reason(pod) or ""
        assert told.startswith("Unschedulable: ")
        assert why in told
