"""The overlays for clouds: each is taken by the chart as it is, and finds the nodes that the cloud makes."""

import pytest
import yaml

from tests.chart.conftest import model
from tests.chart.test_families import terms


@pytest.fixture
def overlaid(render, chart):
    """overlaid(cloud, values) -> the objects with the cloud's overlay below the values."""

    def run(cloud, values):
        return render(values, f"--values={chart}/overlays/{cloud}.yaml")

    return run


def test_gke_s_driver_is_found(overlaid):
    objects = overlaid("gke", model(model="facebook/opt-125m", gpuFamily="turing"))
    variable = {"name": "LD_LIBRARY_PATH", "value": "/usr/local/nvidia/lib64"}
    assert variable in objects.container("openaisle-m")["env"]
    labels = terms(objects.pod("openaisle-m"))
    assert labels["cloud.google.com/gke-accelerator"] == ["nvidia-tesla-t4"]


@pytest.mark.parametrize(
    ("family", "label", "value"),
    [
        ("turing", "karpenter.k8s.aws/instance-gpu-name", "t4"),
        ("ampere", "karpenter.k8s.aws/instance-gpu-name", "a100"),
        ("ampere", "eks.amazonaws.com/instance-gpu-name", "a100"),
    ],
)
def test_karpenter_makes_nodes_of_the_family(overlaid, family, label, value):
    pod = overlaid("eks-karpenter", model(model="facebook/opt-125m", gpuFamily=family)).pod("openaisle-m")
    assert value in terms(pod)[label]


@pytest.mark.parametrize(
    ("family", "size"),
    [
        ("volta", "Standard_NC6s_v3"),
        ("turing", "Standard_NC4as_T4_v3"),
        ("ampere", "Standard_NC24ads_A100_v4"),
        ("hopper", "Standard_ND96isr_H100_v5"),
        ("amd-mi300", "Standard_ND96isr_MI300X_v5"),
    ],
)
def test_aks_machines_are_told_by_their_size_and_their_taint_is_tolerated(overlaid, family, size):
    pod = overlaid("aks", model(model="facebook/opt-125m", gpuFamily=family)).pod("openaisle-m")
    assert size in terms(pod)["node.kubernetes.io/instance-type"]
    taint = {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
    assert taint in pod["spec"]["tolerations"]


def test_an_overlay_sets_nothing_that_the_chart_does_not_know(chart, overlaid):
    for overlay in (chart / "overlays").glob("*.yaml"):
        families = yaml.safe_load(overlay.read_text()).get("gpuFamilies", {})
        objects = overlaid(overlay.stem, {"models": [{"name": "m", "model": "facebook/opt-125m"}]})
        assert objects.one("StatefulSet", "openaisle-m")
        for name in families:
            assert overlaid(overlay.stem, model(model="facebook/opt-125m", gpuFamily=name))
