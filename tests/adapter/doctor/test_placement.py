"""Nodes, drivers and pressure: pure functions over listed objects."""

import re

import pytest
from openaisle_adapter.doctor.checks.disk import check_pressure
from openaisle_adapter.doctor.checks.drivers import VARIANTS, check_drivers
from openaisle_adapter.doctor.checks.nodes import check_nodes
from openaisle_adapter.doctor.checks.runtime import check_runtime
from openaisle_adapter.doctor.placement import labels_match, untolerated
from openaisle_adapter.doctor.quantity import number

from tests.adapter.doctor.objects import model, node, view

GPU = "nvidia.com/gpu"
PRODUCT = "nvidia.com/gpu.product"
T4 = {PRODUCT: "Tesla-T4"}
TURING = {
    "family": "turing",
    "resource": GPU,
    "affinity": {"a.example.org/card": ["t4"], PRODUCT: ["Tesla-T4", "NVIDIA-T4G"]},
}


def t4(name="t4-1", gpus=4, labels=T4, **settings):
    return node(name, labels, gpus={GPU: gpus}, **settings)


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("4", 4),
        ("500m", 0.5),
        ("1536Mi", 1536 * 2**20),
        ("2Gi", 2**31),
        ("1e3", 1000),
        ("2.5G", 2.5e9),
        ("?", 0),
        ("1Xi", 0),
    ],
)
def test_quantities(quantity, value):
    assert number(quantity) == value


def expression(operator, *values, key="gpu"):
    spec = {"key": key, "operator": operator, "values": list(values)}
    terms = [{"matchExpressions": [spec]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("pod_spec", "fits"),
    [
        ({}, True),
        ({"nodeSelector": {"gpu": "40"}}, True),
        ({"nodeSelector": {"gpu": "41"}}, False),
        (expression("In", "39", "40"), True),
        (expression("In", "39"), False),
        (expression("NotIn", "39"), True),
        (expression("NotIn", "40"), False),
        (expression("Exists"), True),
        (expression("Exists", key="other"), False),
        (expression("DoesNotExist"), False),
        (expression("DoesNotExist", key="other"), True),
        (expression("Gt", "39"), True),
        (expression("Gt", "40"), False),
        (expression("Lt", "41"), True),
        (expression("Gt", "1", key="word"), False),
    ],
)
def test_labels_match_as_the_scheduler_matches_them(pod_spec, fits):
    assert labels_match(pod_spec, node("n", {"gpu": "40", "word": "x"})) is fits


@pytest.mark.parametrize(
    ("toleration", "kept_away"),
    [
        ({"key": "gpu", "operator": "Exists"}, False),
        ({"operator": "Exists"}, False),
        ({"key": "gpu", "value": "yes"}, False),
        ({"key": "gpu", "value": "yes", "effect": "NoSchedule"}, False),
        ({"key": "gpu", "value": "no"}, True),
        ({"key": "other", "operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, True),
    ],
)
def test_taints_keep_away_what_does_not_tolerate_them(toleration, kept_away):
    tainted = node("n", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    assert untolerated({"tolerations": [toleration]}, tainted) == (
        ["gpu=yes:NoSchedule"] if kept_away else []
    )


def test_a_taint_that_only_prefers_keeps_nobody_away():
    assert not untolerated({}, node("n", taints=[{"key": "a", "effect": "PreferNoSchedule"}]))


@pytest.mark.parametrize(
    ("workload", "nodes", "status", "text", "cure"),
    [
        (model(), [node("a"), node("b")], "ok", "model m: may run on a, b", ""),
        (model(**TURING), [t4(), node("cpu")], "ok", "model m: 4 x nvidia.com/gpu on t4-1", ""),
        (
            model(**TURING),
            [node("cpu")],
            "fail",
            "no node has the labels that it asks for (family turing, nvidia.com/gpu.product: Tesla-T4,",
            "add such a node; if there is one, GPU feature discovery isn't running on it",
        ),
        (
            model(**TURING),
            [
                t4(labels={PRODUCT: "NVIDIA-A10G"}),
                t4("b", labels={"cloud.google.com/gke-accelerator": "nvidia-l4"}),
            ],
            "fail",
            "no node has the labels",
            "choose a gpuFamily for what the nodes have (NVIDIA-A10G, nvidia-l4), or add a node",
        ),
        (
            model(**TURING | {"gpus": 8}),
            [t4(gpus=1), t4("t4-4", gpus=4)],
            "fail",
            "a replica asks for 8 x nvidia.com/gpu, and the node of its family with the most, t4-4, has 4",
            "COUNT:.status.allocatable.nvidia\\.com/gpu",
        ),
        (
            model(**TURING),
            [t4(taints=[{"key": "sku", "value": "gpu", "effect": "NoSchedule"}])],
            "fail",
            "the taint sku=gpu:NoSchedule keeps it from t4-1",
            "tolerations: [{key: sku, operator: Exists, effect: NoSchedule}]",
        ),
        (
            model(memory="40Gi"),
            [node("small", memory="16Gi")],
            "fail",
            "it asks for more than any node of its family has: memory (40Gi, and small has 16Gi)",
            "lower its resources",
        ),
        (model(), [node("a", ready=False)], "fail", "no node for it is ready (a)", "kubectl get nodes"),
        (model(), [node("a", cordoned=True)], "fail", "no node for it is ready (a)", "kubectl uncordon"),
        (
            model(**TURING | {"replicas": 3, "gpus": 2}),
            [t4()],
            "warn",
            "3 replicas take 2 x nvidia.com/gpu each, and its nodes (t4-1) have 4",
            "lower replicas",
        ),
    ],
)
def test_a_model_s_nodes(workload, nodes, status, text, cure):
    (finding,) = check_nodes(view(statefulsets=[workload], nodes=nodes))
    assert finding.status == status
    assert text in finding.text
    assert cure in finding.cure


def test_gpus_that_are_there_in_name_only():
    """The label says that there is a GPU, and no device plugin offers it."""
    found = list(check_nodes(view(nodes=[node("a", T4, gpus={GPU: 0}), t4("b")])))
    assert [finding.text for finding in found] == [
        "the node a has the label of a GPU (Tesla-T4) but offers no nvidia.com/gpu"
    ]
    assert "device-plugin" in found[0].cure


def driver(major, label="nvidia.com/cuda.driver-version.major", name="n"):
    return t4(name, labels=T4 | {label: str(major)})


@pytest.mark.parametrize(
    ("variant", "nodes", "status", "text"),
    [
        ("cu126", [driver(560)], "ok", "driver 560 runs cu126 (CUDA 12.6)"),
        ("cu126", [driver(535)], "warn", "n has the driver 535: it runs CUDA 12.6 with fewer features"),
        ("cu126", [driver(470)], "fail", "cu126 (CUDA 12.6) needs a driver of 525 or later, and n has 470"),
        ("cu126", [driver(470, "nvidia.com/cuda.driver.major")], "fail", "and n has 470"),
        ("cu130", [driver(580)], "ok", "driver 580 runs cu130"),
        ("cu130", [driver(570)], "fail", "needs a driver of 580 or later, and n has 570"),
        ("cu130", [driver(570), driver(580, name="o")], "warn", "and n has 570"),
        ("kepler", [driver(470)], "ok", "driver 470 runs kepler"),
        ("kepler", [driver(535)], "fail", "needs a driver of 450 to 470, and n has 535"),
        ("cu126", [t4()], "skipped", "no node of its family says which driver it has"),
    ],
)
def test_drivers_against_variants(variant, nodes, status, text):
    workload = model(**TURING, image=f"registry:5000/openaisle/opt:0.2.0-{variant}")
    (finding,) = check_drivers(view(statefulsets=[workload], nodes=nodes))
    assert finding.status == status
    assert text in finding.text


def test_the_drivers_are_those_of_the_images_table(root):
    table = (root / "images/opt/variants").read_text()
    written = re.findall(r"^(\w+) .* driver (\d+) (?:or later|to (\d+))$", table, re.MULTILINE)
    assert {(name, int(least), int(most) if most else None) for name, least, most in written} == {
        (name, drivers.least, drivers.most) for name, drivers in VARIANTS.items()
    }


@pytest.mark.parametrize(
    "image", ["openaisle/opt:0.2.0", "vllm/vllm-openai:v0.11.0", "ours/opt@sha256:cu126"]
)
def test_images_without_a_known_cuda_are_not_judged(image):
    assert not list(check_drivers(view(statefulsets=[model(**TURING, image=image)], nodes=[driver(1)])))


def test_pressure_on_a_node():
    (finding,) = check_pressure(view(nodes=[node("a"), node("b", pressure="DiskPressure")]))
    assert (finding.status, finding.text) == ("fail", "the node b reports DiskPressure")
    (finding,) = check_pressure(view(nodes=[node("a")]))
    assert finding.status == "ok"


def test_a_runtime_class_that_is_not_there():
    workload = model(**TURING, runtimeClassName="nvidia")
    classes = [{"metadata": {"name": "kata"}}]
    (finding,) = check_runtime(view(statefulsets=[workload], runtimeclasses=classes))
    assert (finding.status, finding.text) == ("fail", "model m: the RuntimeClass nvidia doesn't exist")
    assert "(the classes are: kata)" in finding.cure
    classes.append({"metadata": {"name": "nvidia"}})
    (finding,) = check_runtime(view(statefulsets=[workload], runtimeclasses=classes))
    assert finding.status == "ok"
    assert not list(check_runtime(view(statefulsets=[model()], runtimeclasses=None)))


def test_of_several_families_the_first_s_products_are_named_first():
    workload = model(family="hopper")
    terms = [
        {
            "matchExpressions": [
                {"key": PRODUCT, "operator": "In", "values": [f"{card}-{size}" for size in "abc"]}
            ]
        }
        for card in ("H100", "A100")
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    workload["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": required}
    (finding,) = check_nodes(view(statefulsets=[workload], nodes=[node("cpu")]))
    assert "family hopper, nvidia.com/gpu.product: H100-a, H100-b, H100-c and 3 more" in finding.text
