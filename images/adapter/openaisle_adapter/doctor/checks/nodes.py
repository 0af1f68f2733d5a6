"""Whether the cluster has nodes for each model: labels, GPUs, taints, room."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from ..models import Model, models_of
from ..placement import is_ready, labels_match, lacks, untolerated, wanted_terms
from ..view import Object, View, labels, name, some

PRODUCT_LABELS = (
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "cloud.google.com/gke-accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
)


def check_nodes(view: View) -> Iterator[Finding]:
    """A line for each model, and one for each node whose GPUs are there in name only.

    Raises:
        Unseen: the account may not list nodes or workloads.
    """
    nodes = view.all("nodes")
    for node in nodes:
        yield from _gpus_without_plugin(node)
    for model in models_of(view):
        yield _place(model, nodes)


def _gpus_without_plugin(node: Object) -> Iterator[Finding]:
    """Feature discovery sees a GPU, but no device plugin offers it: pods wait for a GPU for ever."""
    product = labels(node).get("nvidia.com/gpu.product")
    offered = [
        resource
        for resource, count in (node["status"].get("allocatable") or {}).items()
        if resource.startswith("nvidia.com/") and count != "0"
    ]
    if product and not offered:
        yield Finding(
            "nodes",
            "fail",
            f"the node {name(node)} has the label of a GPU ({product}) but offers no nvidia.com/gpu",
            f"NVIDIA's device plugin isn't running there: {_plugin_command(node)}",
            "pending",
        )


def _plugin_command(node: Object) -> str:
    return f"kubectl get pods -A -o wide --field-selector spec.nodeName={name(node)} | grep device-plugin"


def _place(model: Model, nodes: list[Object]) -> Finding:
    """The first rule that no node passes is the reason."""
    resource, gpus = model.gpus

    def failed(text: str, cure: str) -> Finding:
        return Finding("nodes", "fail", f"model {model.name}: {text}", cure, "pending")

    matching = [node for node in nodes if labels_match(model.pod_spec, node)]
    if not matching:
        return failed(f"no node has the labels that it asks for ({_asked(model)})", _other_family(nodes))
    with_gpus = [node for node in matching if _count(node, resource) >= gpus]
    if not with_gpus:
        best = max(matching, key=lambda node: _count(node, resource))
        return failed(
            f"a replica asks for {gpus} x {resource}, and the node of its family with the most, "
            f"{name(best)}, has {_count(best, resource)}",
            f"lower gpus, or add nodes; what there is: {gpu_counts_command(resource)}",
        )
    tolerated = [node for node in with_gpus if not untolerated(model.pod_spec, node)]
    if not tolerated:
        taint = untolerated(model.pod_spec, with_gpus[0])[0]
        return failed(
            f"the taint {taint} keeps it from {some([name(node) for node in with_gpus])}",
            f"add to its values: tolerations: [{_toleration(taint)}]",
        )
    roomy = [node for node in tolerated if not lacks(model.pod_spec, node)]
    if not roomy:
        lacking = lacks(model.pod_spec, tolerated[0])[0]
        return failed(f"it asks for more than any node of its family has: {lacking}", "lower its resources")
    up = [node for node in roomy if is_ready(node)]
    if not up:
        return failed(
            f"no node for it is ready ({some([name(node) for node in roomy])})",
            "kubectl get nodes; kubectl uncordon a node that is well",
        )
    return _room_for_all(model, up)


def _room_for_all(model: Model, nodes: list[Object]) -> Finding:
    resource, gpus = model.gpus
    names = some([name(node) for node in nodes])
    if gpus:
        places = sum(_count(node, resource) // gpus for node in nodes)
        total = sum(_count(node, resource) for node in nodes)
        if places < model.replicas:
            return Finding(
                "nodes",
                "warn",
                f"model {model.name}: {model.replicas} replicas take {gpus} x {resource} each, and its nodes "
                f"({names}) have {total}",
                "lower replicas, or add nodes",
                "pending",
            )
        return Finding("nodes", "ok", f"model {model.name}: {total} x {resource} on {names}")
    return Finding("nodes", "ok", f"model {model.name}: may run on {names}")


def _count(node: Object, resource: str) -> int:
    return int((node["status"].get("allocatable") or {}).get(resource, 0)) if resource else 0


def gpu_counts_command(resource: str) -> str:
    """The command that shows how many GPUs each node really offers, beside their product."""
    column = resource.replace(".", "\\.")
    return (
        "kubectl get nodes -o custom-columns='NODE:.metadata.name,"
        f"GPU:.metadata.labels.nvidia\\.com/gpu\\.product,COUNT:.status.allocatable.{column}'"
    )


def _asked(model: Model) -> str:
    asked = [f"{label}={value}" for label, value in (model.pod_spec.get("nodeSelector") or {}).items()]
    by_label: dict[str, list[str]] = {}
    for term in wanted_terms(model.pod_spec):
        for expression in term.get("matchExpressions") or []:
            by_label.setdefault(expression["key"], []).extend(expression.get("values") or [])
    # Any of a family's labels will do; one tells enough.
    for label in [*PRODUCT_LABELS, *by_label][: len(PRODUCT_LABELS) + 1]:
        if label in by_label:
            asked.append(f"{label}: {some(by_label[label])}")
            break
    family = f"family {model.family}, " if model.family else ""
    return family + ", ".join(asked)


def _other_family(nodes: list[Object]) -> str:
    products = sorted(
        {labels(node)[label] for node in nodes for label in PRODUCT_LABELS if label in labels(node)}
    )
    if products:
        return f"choose a gpuFamily for what the nodes have ({some(products, 6)}), or add a node"
    return (
        "add such a node; if there is one, GPU feature discovery isn't running on it: "
        "kubectl get nodes -L nvidia.com/gpu.product"
    )


def _toleration(taint: str) -> str:
    key, _, effect = taint.rpartition(":")
    return f"{{key: {key.partition('=')[0]}, operator: Exists, effect: {effect}}}"
