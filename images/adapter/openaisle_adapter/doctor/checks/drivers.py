"""Whether the nodes' drivers can run the CUDA of the image's variant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..finding import Finding
from ..models import Model, models_of
from ..placement import labels_match
from ..view import Object, View, labels, name, some

# GPU feature discovery writes both; the first is the newer name.
MAJOR_LABELS = ("nvidia.com/cuda.driver-version.major", "nvidia.com/cuda.driver.major")


@dataclass(frozen=True)
class Drivers:
    """Major versions of NVIDIA's driver that a variant of the image runs with."""

    cuda: str
    least: int
    complete: int
    """From here on every feature of this CUDA is there, and not only what its major version had at first."""
    most: int | None = None


# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
VARIANTS = {
    "cu126": Drivers("12.6", least=525, complete=560),
    "cu130": Drivers("13.0", least=580, complete=580),
    # A Kepler GPU's last driver is of the 470 series.
    "kepler": Drivers("11.3", least=450, complete=465, most=470),
}


def check_drivers(view: View) -> Iterator[Finding]:
    """A line for each model whose image has a CUDA that is known here.

    Raises:
        Unseen: the account may not list nodes or workloads.
    """
    nodes = view.all("nodes")
    for model in models_of(view):
        if model.variant in VARIANTS:
            matching = [
                node for node in nodes if labels_match(model.pod_spec, node) and _has_gpu(model, node)
            ]
            if matching:
                yield _judge(model, matching)


def _has_gpu(model: Model, node: Object) -> bool:
    return model.gpus[0] in (node["status"].get("allocatable") or {})


def _judge(model: Model, nodes: list[Object]) -> Finding:
    needs = VARIANTS[model.variant]
    majors = {name(node): major for node in nodes if (major := _major(node)) is not None}

    def finding(status: str, text: str, cure: str = "") -> Finding:
        text = f"model {model.name}: {text}"
        return Finding("drivers", status, text, cure, "drivers" if cure else "")  # type: ignore[arg-type]

    wrong = [node for node, major in majors.items() if major < needs.least or major > (needs.most or major)]
    if wrong:
        wanted = f"{needs.least} to {needs.most}" if needs.most else f"{needs.least} or later"
        return finding(
            "fail" if len(wrong) == len(nodes) else "warn",
            f"the image's variant {model.variant} (CUDA {needs.cuda}) needs a driver of {wanted}, and "
            f"{wrong[0]} has {majors[wrong[0]]}",
            f"change the driver of {some(wrong)}, or name a variant that it runs in "
            f"gpuFamilies.{model.family}.imageVariants",
        )
    if not majors:
        return Finding(
            "drivers",
            "skipped",
            f"model {model.name}: no node of its family says which driver it has; "
            f"the variant {model.variant} needs {needs.least} or later",
            "run nvidia-smi on the node, or install GPU feature discovery",
        )
    old = [node for node, major in majors.items() if major < needs.complete]
    if old:
        return finding(
            "warn",
            f"{old[0]} has the driver {majors[old[0]]}: it runs CUDA {needs.cuda} with fewer features",
            f"update it to {needs.complete} or later when you can",
        )
    return finding("ok", f"driver {min(majors.values())} runs {model.variant} (CUDA {needs.cuda})")


def _major(node: Object) -> int | None:
    for label in MAJOR_LABELS:
        value = labels(node).get(label, "")
        if value.isdigit():
            return int(value)
    return None
