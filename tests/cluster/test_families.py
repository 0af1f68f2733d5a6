"""Every GPU family on simulated nodes (KWOK): scheduling is real, the pods there are not.

Nodes have the labels that NVIDIA's GPU feature discovery, AMD's node labeller and GKE set.
"""

import pytest

from tests.cluster.conftest import CommandFailed, run, wait_for

PRODUCT, GKE = "nvidia.com/gpu.product", "cloud.google.com/gke-accelerator"
NVIDIA, AMD = "nvidia.com/gpu", "amd.com/gpu"

# name -> labels, resource, GPUs
NODES = {
    "k80": ({PRODUCT: "Tesla-K80"}, NVIDIA, 4),
    "m60": ({PRODUCT: "Tesla-M60"}, NVIDIA, 2),
    "p100": ({PRODUCT: "Tesla-P100-PCIE-16GB"}, NVIDIA, 2),
    "v100": ({PRODUCT: "Tesla-V100-SXM2-32GB"}, NVIDIA, 16),
    "t4": ({PRODUCT: "Tesla-T4"}, NVIDIA, 1),
    "t4-gke": ({GKE: "nvidia-tesla-t4"}, NVIDIA, 4),
    "a10g": ({PRODUCT: "NVIDIA-A10G"}, NVIDIA, 4),
    "a100": ({PRODUCT: "NVIDIA-A100-SXM4-80GB"}, NVIDIA, 8),
    "a100-mig": ({PRODUCT: "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"}, NVIDIA, 7),
    "l4": ({PRODUCT: "NVIDIA-L4"}, NVIDIA, 1),
    "h100": ({PRODUCT: "NVIDIA-H100-80GB-HBM3"}, NVIDIA, 8),
    "h200": ({PRODUCT: "NVIDIA-H200"}, NVIDIA, 8),
    "b200": ({PRODUCT: "NVIDIA-B200"}, NVIDIA, 8),
    "mi210": ({"amd.com/gpu.device-id": "740f"}, AMD, 4),
    "mi300x": ({"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM"}, AMD, 8),
}

# model's name -> its settings, the labels' values of the nodes that it may land on (none: it stays Pending)
MODELS = {
    "kepler": ({"gpuFamily": "kepler"}, {"Tesla-K80"}),
    "maxwell": ({"gpuFamily": "maxwell"}, {"Tesla-M60"}),
    "pascal": ({"gpuFamily": "pascal"}, {"Tesla-P100-PCIE-16GB"}),
    "volta": ({"gpuFamily": "volta"}, {"Tesla-V100-SXM2-32GB"}),
    "volta-13b": ({"gpuFamily": "volta", "model": "facebook/opt-13b"}, {"Tesla-V100-SXM2-32GB"}),
    "volta-4": ({"gpuFamily": "volta", "gpus": 4, "engine": "vllm"}, {"Tesla-V100-SXM2-32GB"}),
    "turing": ({"gpuFamily": "turing"}, {"Tesla-T4", "nvidia-tesla-t4"}),
    "turing-2": ({"gpuFamily": "turing", "gpus": 2, "engine": "vllm"}, {"nvidia-tesla-t4"}),
    "turing-8": ({"gpuFamily": "turing", "gpus": 8, "engine": "vllm"}, set()),
    "ampere": ({"gpuFamily": "ampere"}, {"NVIDIA-A10G", "NVIDIA-A100-SXM4-80GB"}),
    "ampere-13b": ({"gpuFamily": "ampere", "model": "facebook/opt-13b"}, {"NVIDIA-A100-SXM4-80GB"}),
    "ampere-66b": (
        {"gpuFamily": "ampere", "model": "facebook/opt-66b", "gpus": 2, "engine": "vllm"},
        {"NVIDIA-A100-SXM4-80GB"},
    ),
    "mig": ({"gpuFamily": "mig-1g.10gb"}, {"NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"}),
    "mig-2g": ({"gpuFamily": "mig-2g.20gb"}, set()),
    "ada": ({"gpuFamily": "ada"}, {"NVIDIA-L4"}),
    "ada-2": ({"gpuFamily": "ada", "gpus": 2, "engine": "vllm"}, set()),
    "hopper": ({"gpuFamily": "hopper"}, {"NVIDIA-H100-80GB-HBM3", "NVIDIA-H200"}),
    "hopper-66b": ({"gpuFamily": "hopper", "model": "facebook/opt-66b"}, {"NVIDIA-H200"}),
    "blackwell": ({"gpuFamily": "blackwell", "model": "facebook/opt-66b"}, {"NVIDIA-B200"}),
    "mi200": ({"gpuFamily": "amd-mi200"}, {"740f"}),
    "mi300": ({"gpuFamily": "amd-mi300"}, {"AMD_Instinct_MI300X_OAM"}),
    "amd": ({"gpuFamily": "amd"}, {"740f", "AMD_Instinct_MI300X_OAM"}),
    # The preferred family where there is room, else the other one.
    "preferred": ({"gpuFamily": ["blackwell", "hopper"]}, {"NVIDIA-B200"}),
    "falls-back": (
        {
            "gpuFamily": ["turing", "volta"],
            "gpus": 8,
            "engine": "vllm",
            "nodeSelector": {"simulated": "v100"},
        },
        {"Tesla-V100-SXM2-32GB"},
    ),
}


def node(name, labels, resource, count):
    size = {"cpu": "64", "memory": "2Ti", "pods": "110", "ephemeral-storage": "10Ti", resource: str(count)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"simulated-{name}",
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"simulated": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
            | labels,
        },
        "spec": {"taints": [{"key": resource, "value": "present", "effect": "NoSchedule"}]},
        "status": {"capacity": size, "allocatable": size},
    }


@pytest.fixture(scope="module")
def nodes(new_namespace):
    """Adds the simulated nodes, and takes them away again."""
    new_namespace().apply(*(node(name, *settings) for name, settings in NODES.items()))
    names = [f"node/simulated-{name}" for name in NODES]
    try:
        try:
            run("kubectl", "wait", *names, "--for=condition=Ready", "--timeout=20s")
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
        {"name": name, "model": "facebook/opt-125m", "tolerations": []} | settings
        for name, (settings, _) in MODELS.items()
    ]
    namespace.install(
        values={
            "ingress": {"enabled": False},
            "adapter": {"replicas": 0},
            "demo": {"enabled": False},
            "models": models,
        }
    )

    def scheduled():
        found = {
            pod["metadata"]["labels"]["openaisle.io/model-name"]: pod
            for pod in namespace.get("pods", "", "-l", "app.kubernetes.io/component=opt")
        }
        seen = [
            condition
            for pod in found.values()
            for condition in pod.get("status", {}).get("conditions", [])
            if condition["type"] == "PodScheduled"
        ]
        return found if len(seen) == len(MODELS) else None

    found = wait_for("the scheduler", scheduled, timeout_s=60)
    yield found
    namespace.helm("uninstall", "openaisle")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_lands_on_a_node_of_its_family_or_stays_pending(pods, name):
    _, wanted = MODELS[name]
    pod = pods[name]
    landed = pod["spec"].get("nodeName")
    if wanted:
        assert landed, pod["status"]["conditions"]
        labels, _, _ = NODES[landed.removeprefix("simulated-")]
        assert set(labels.values()) <= wanted
    else:
        assert landed is None
        (condition,) = [item for item in pod["status"]["conditions"] if item["type"] == "PodScheduled"]
        assert condition["reason"] == "Unschedulable"
