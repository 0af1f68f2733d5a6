"""GPU families: what each implies, and whether a model fits."""

import itertools
import re

import pytest
import yaml

from tests.chart.conftest import model

PRODUCT = "nvidia.com/gpu.product"


def terms(pod):
    affinity = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    expressions = [term["matchExpressions"][0] for term in affinity["nodeSelectorTerms"]]
    assert {expression["operator"] for expression in expressions} == {"In"}
    return {expression["key"]: expression["values"] for expression in expressions}


@pytest.mark.parametrize(
    ("family", "label", "value"),
    [
        ("kepler", PRODUCT, "Tesla-K80"),
        ("maxwell", PRODUCT, "Tesla-M60"),
        ("maxwell", PRODUCT, "Tesla-M10"),
        ("pascal", PRODUCT, "NVIDIA-GeForce-GTX-1060-6GB"),
        ("pascal", PRODUCT, "Tesla-P100-PCIE-16GB"),
        ("pascal", PRODUCT, "NVIDIA-TITAN-X-Pascal"),
        ("volta", PRODUCT, "Tesla-V100-SXM2-32GB"),
        ("turing", PRODUCT, "Tesla-T4"),
        ("turing", "cloud.google.com/gke-accelerator", "nvidia-tesla-t4"),
        ("turing", "karpenter.k8s.aws/instance-gpu-name", "t4"),
        ("turing", PRODUCT, "NVIDIA-T4G"),
        ("ampere", PRODUCT, "NVIDIA-A100-SXM4-80GB"),
        ("turing", PRODUCT, "NVIDIA-T1000-8GB"),
        ("ampere", PRODUCT, "NVIDIA-A10G"),
        ("ampere", PRODUCT, "NVIDIA-A16"),
        ("ampere", PRODUCT, "NVIDIA-RTX-A2000"),
        ("ampere", PRODUCT, "NVIDIA-GeForce-RTX-3050"),
        ("ada", PRODUCT, "NVIDIA-GeForce-RTX-4060-Ti"),
        ("ada", PRODUCT, "NVIDIA-RTX-5880-Ada-Generation"),
        ("ada", PRODUCT, "NVIDIA-L40S"),
        ("hopper", PRODUCT, "NVIDIA-H100-80GB-HBM3"),
        ("hopper", PRODUCT, "NVIDIA-GH200-480GB"),
        ("hopper", PRODUCT, "NVIDIA-H20-3e"),
        ("blackwell", PRODUCT, "NVIDIA-B200"),
        ("blackwell", PRODUCT, "NVIDIA-GeForce-RTX-5060"),
        ("blackwell", PRODUCT, "NVIDIA-RTX-PRO-5000-Blackwell"),
        ("blackwell", PRODUCT, "NVIDIA-B300-SXM6-AC"),
        ("blackwell", "karpenter.k8s.aws/instance-gpu-name", "rtx-pro-server-6000"),
        ("mig-1g.10gb", PRODUCT, "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"),
        ("amd-mi200", "amd.com/gpu.product-name", "AMD_Instinct_MI210"),
        ("mig-1g.6gb", PRODUCT, "NVIDIA-A30-MIG-1g.6gb"),
        ("mig-3g.47gb", PRODUCT, "NVIDIA-H100-NVL-MIG-3g.47gb"),
        ("mig-2g.35gb", PRODUCT, "NVIDIA-H200-MIG-2g.35gb"),
        ("mig-1g.23gb", PRODUCT, "NVIDIA-B200-MIG-1g.23gb"),
        ("mig-2g.48gb", PRODUCT, "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition-MIG-2g.48gb"),
        ("amd-mi100", "amd.com/gpu.device-id", "738c"),
        ("mig-1g.18gb", PRODUCT, "NVIDIA-H200-MIG-1g.18gb"),
        ("amd-mi300", "amd.com/gpu.device-id", "74a1"),
        ("amd-mi300", "amd.com/gpu.product-name", "AMD_Instinct_MI325_OAM"),
        ("amd-mi350", "amd.com/gpu.device-id", "75a3"),
    ],
)
def test_a_family_asks_for_its_nodes(render, family, label, value):
    pod = render(model(model="facebook/opt-125m", gpuFamily=family)).pod("openaisle-m")
    assert value in terms(pod)[label]
    assert pod["metadata"]["labels"]["openaisle.io/gpu-family"] == family


@pytest.mark.parametrize("family", ["nvidia", "amd"])
def test_a_generic_family_asks_for_no_label(render, family):
    pod = render(model(model="facebook/opt-125m", gpuFamily=family)).pod("openaisle-m")
    assert "affinity" not in pod["spec"]


def test_a_gpu_family_requests_one_gpu_and_tolerates_its_taint(render):
    for family, resource in (("turing", "nvidia.com/gpu"), ("amd-mi300", "amd.com/gpu")):
        objects = render(model(model="facebook/opt-125m", gpuFamily=family))
        resources = objects.container("openaisle-m")["resources"]
        assert resources["requests"][resource] == resources["limits"][resource] == "1"
        toleration = {"key": resource, "operator": "Exists", "effect": "NoSchedule"}
        assert objects.pod("openaisle-m")["spec"]["tolerations"] == [toleration]
        assert "--device=cuda" in objects.container("openaisle-m")["args"]


@pytest.mark.parametrize(
    ("family", "variant", "dtype"),
    [
        ("kepler", "kepler", "float32"),
        ("maxwell", "cu126", "float32"),
        ("volta", "cu126", "float16"),
        ("hopper", "cu126", "bfloat16"),
        ("blackwell", "cu130", "bfloat16"),
        ("amd", "rocm", "float16"),
        (["hopper", "blackwell"], "cu130", "bfloat16"),
        (["ampere", "volta"], "cu126", "float16"),
    ],
)
def test_a_family_chooses_image_and_number_format(render, family, variant, dtype):
    container = render(model(model="facebook/opt-125m", gpuFamily=family)).container("openaisle-m")
    assert container["image"] == f"openaisle/opt:0.2.0-{variant}"
    assert f"--dtype={dtype}" in container["args"]


def test_kepler_s_old_driver_is_let_through(render):
    container = render(model(model="facebook/opt-125m", gpuFamily="kepler")).container("openaisle-m")
    assert {"name": "NVIDIA_REQUIRE_CUDA", "value": "cuda>=11.0"} in container["env"]


def test_several_families_are_required_together_and_preferred_in_order(render):
    pod = render(model(model="facebook/opt-125m", gpuFamily=["ada", "turing"])).pod("openaisle-m")
    affinity = pod["spec"]["affinity"]["nodeAffinity"]
    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    products = [term["matchExpressions"][0]["values"] for term in required]
    assert any("NVIDIA-L4" in values for values in products)
    assert any("Tesla-T4" in values for values in products)
    weights = {
        value: term["weight"]
        for term in affinity["preferredDuringSchedulingIgnoredDuringExecution"]
        for value in term["preference"]["matchExpressions"][0]["values"]
    }
    assert weights["NVIDIA-L4"] > weights["Tesla-T4"]


def test_only_gpus_on_which_the_model_fits_are_asked_for(render):
    products = terms(render(model(model="facebook/opt-13b", gpuFamily="ampere")).pod("openaisle-m"))[PRODUCT]
    assert "NVIDIA-A10G" not in products
    assert "NVIDIA-A100-SXM4-40GB" in products


def test_a_model_over_several_gpus_asks_for_its_share_of_each(render):
    values = model(model="facebook/opt-13b", gpuFamily="ampere", engine="vllm", gpus=4)
    assert "NVIDIA-A10G" in terms(render(values).pod("openaisle-m"))[PRODUCT]


def test_a_family_is_added_by_values_alone(render):
    family = {
        "resourceName": "example.com/gpu",
        "imageVariants": ["special"],
        "dtype": "float16",
        "gpus": [{"memoryGiB": 24, "nodeLabels": {"example.com/card": ["X1"]}}],
        "tolerations": [{"key": "lab", "operator": "Exists"}],
        "runtimeClassName": "example",
        "env": [{"name": "CARD", "value": "X1"}],
    }
    objects = render({"gpuFamilies": {"x": family}} | model(model="facebook/opt-1.3b", gpuFamily="x"))
    spec = objects.pod("openaisle-m")["spec"]
    assert spec["runtimeClassName"] == "example"
    assert spec["tolerations"] == family["tolerations"]
    assert terms(objects.pod("openaisle-m")) == {"example.com/card": ["X1"]}
    container = objects.container("openaisle-m")
    assert container["image"] == "openaisle/opt:0.2.0-special"
    assert container["resources"]["limits"]["example.com/gpu"] == "1"
    assert {"name": "CARD", "value": "X1"} in container["env"]


def test_slices_that_the_resource_name_tells_ask_for_no_label(render, refusal):
    """The device plugin's strategy "mixed"."""
    family = {"resourceName": "nvidia.com/mig-1g.10gb", "gpus": [{"memoryGiB": 9.5}]}
    values = {"gpuFamilies": {"mig-1g.10gb": family}}
    objects = render(values | model(model="facebook/opt-1.3b", gpuFamily="mig-1g.10gb"))
    assert objects.container("openaisle-m")["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"
    spec = objects.pod("openaisle-m")["spec"]
    assert "affinity" not in spec
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    message = refusal(values | model(model="facebook/opt-6.7b", gpuFamily="mig-1g.10gb"))
    assert "the largest GPU of the family mig-1g.10gb has 9.5 GiB" in message


def test_gpus_shared_in_time_are_used_only_where_asked_for(render):
    values = {"model": "facebook/opt-125m", "gpuFamily": "turing"}
    assert "Tesla-T4-SHARED" not in terms(render(model(**values)).pod("openaisle-m"))[PRODUCT]
    shared = terms(render(model(**values, sharedGpus=True)).pod("openaisle-m"))
    assert {"Tesla-T4", "Tesla-T4-SHARED"} <= set(shared[PRODUCT])
    assert shared["cloud.google.com/gke-accelerator"] == ["nvidia-tesla-t4"]


def test_gke_s_slices_and_shared_gpus_are_not_taken_for_whole_ones(render):
    def expressions(**settings):
        pod = render(model(model="facebook/opt-125m", **settings)).pod("openaisle-m")
        affinity = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = [
            {
                item["key"].removeprefix("cloud.google.com/"): item["operator"]
                for item in term["matchExpressions"]
            }
            for term in affinity["nodeSelectorTerms"]
            if term["matchExpressions"][0]["key"].startswith("cloud.google.com/")
        ]
        return term

    whole = expressions(gpuFamily="ampere")
    assert whole["gke-gpu-partition-size"] == whole["gke-gpu-sharing-strategy"] == "DoesNotExist"
    assert "gke-gpu-sharing-strategy" not in expressions(gpuFamily="ampere", sharedGpus=True)
    assert expressions(gpuFamily="mig-1g.5gb") == {"gke-gpu-partition-size": "In"}


def karpenter(render, **settings):
    """What a model asks of Karpenter's labels, by operator."""
    pod = render(model(**settings)).pod("openaisle-m")
    affinity = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = [
        {item["operator"]: (item["key"], item["values"]) for item in term["matchExpressions"]}
        for term in affinity["nodeSelectorTerms"]
        if term["matchExpressions"][0]["key"].startswith("karpenter.k8s.aws/")
    ]
    return term


def test_of_karpenter_s_gpus_with_one_name_those_are_asked_for_that_have_the_memory(render):
    """An A100 has 40960 or 81920 MiB there; a sixth of an L4 is called an L4."""
    small = karpenter(render, model="facebook/opt-125m", gpuFamily="ada")
    label, (least,) = small["Gt"]
    assert label == "karpenter.k8s.aws/instance-gpu-memory"
    assert 1024 < int(least) < 2048
    large = karpenter(render, model="facebook/opt-30b", gpuFamily="ampere")
    assert large["In"] == ("karpenter.k8s.aws/instance-gpu-name", ["a100"])
    assert 40960 < int(large["Gt"][1][0]) < 81920
    pod = render(model(model="facebook/opt-125m", gpuFamily="ada")).pod("openaisle-m")
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    keys = [[item["key"] for item in term["matchExpressions"]] for term in required["nodeSelectorTerms"]]
    assert ["eks.amazonaws.com/instance-gpu-name", "eks.amazonaws.com/instance-gpu-memory"] in keys
    assert "Gt" not in karpenter(render, model="lab/unknown", gpuFamily="ampere")


def test_every_slice_is_called_after_its_family(chart):
    families = yaml.safe_load((chart / "values.yaml").read_text())["gpuFamilies"]
    slices = {name: family for name, family in families.items() if name.startswith("mig-")}
    assert len(slices) > 20
    for name, family in slices.items():
        for gpu in family["gpus"]:
            assert all(
                product.endswith(f"-{name.upper()[:3]}{name[3:]}") for product in gpu["nodeLabels"][PRODUCT]
            )
            assert gpu["memoryGiB"] <= float(name.split(".")[1].removesuffix("gb"))


def test_every_family_says_how_many_gpus_a_model_would_take_that_fits_none(chart, refusal):
    families = yaml.safe_load((chart / "values.yaml").read_text())["gpuFamilies"]
    sized = [name for name, family in families.items() if family.get("gpus")]
    models = [
        {"name": f"m{i}", "model": "lab/opt-900b", "gpuFamily": name, "dtype": families[name]["dtype"]}
        for i, name in enumerate(sized)
    ]
    message = refusal({"models": models})
    for i, name in enumerate(sized):
        largest = max(gpu["memoryGiB"] for gpu in families[name]["gpus"])
        (line,) = [line for line in message.splitlines() if line.startswith(f"- models[{i}] (m{i}): ")]
        assert f"the largest GPU of the family {name} has {largest:.1f} GiB" in line
        assert re.search(r"it takes \d+ of them", line)


def test_all_labels_of_a_later_family_weigh_less_than_one_of_an_earlier(render):
    pod = render(model(model="facebook/opt-125m", gpuFamily=["hopper", "ampere", "ada", "turing"])).pod(
        "openaisle-m"
    )
    preferred = pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    weights = sorted({term["weight"] for term in preferred}, reverse=True)
    assert len(weights) == 4
    for earlier, later in itertools.pairwise(weights):
        assert earlier > 3 * later


def test_all_models_move_to_a_family_by_one_value(render):
    objects = render({"modelDefaults": {"gpuFamily": "turing"}})
    assert objects.container("openaisle-tiny-opt")["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_no_label_value_belongs_to_two_families(chart):
    """Else a model of one family could land on the GPU of another."""
    families = yaml.safe_load((chart / "values.yaml").read_text())["gpuFamilies"]
    values = {
        name: {
            (label, value)
            for gpu in family.get("gpus", [])
            for label, listed in gpu["nodeLabels"].items()
            for value in listed
        }
        for name, family in families.items()
    }
    for one, other in itertools.combinations(values, 2):
        assert not values[one] & values[other], (one, other)
