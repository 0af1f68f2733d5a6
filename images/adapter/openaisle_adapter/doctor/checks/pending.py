"""Why the scheduler finds no node for a pod, from the sentence that it leaves in the pod's status."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..finding import Anchor, Finding
from ..view import Object, View, labels, name
from .nodes import gpu_counts_command


def explain(view: View, pod: Object, where: str, message: str) -> Finding:
    """The scheduler's sentence with a cure for each reason in it."""
    reasons = message.partition(" preemption: ")[0].replace("no new claims to deallocate,", "").strip()
    cures = list(_cures(view, pod, reasons)) or [f"kubectl -n {view.namespace} describe pod {name(pod)}"]
    anchor: Anchor = "volumes" if "olume" in reasons else "pending"
    return Finding("pods", "fail", f"{where} is Pending: {reasons}", "; ".join(cures), anchor)


def _cures(view: View, pod: Object, reasons: str) -> Iterator[str]:
    family = labels(pod).get("openaisle.io/gpu-family", "")
    if "didn't match Pod's node affinity" in reasons or "didn't match node selector" in reasons:
        of_family = f" of the family {family}" if family else ""
        yield (
            f"no node{of_family} has room: see kubectl get nodes -L nvidia.com/gpu.product, and choose a "
            "gpuFamily that the nodes have, or add a node"
        )
    for resource in dict.fromkeys(re.findall(r"Insufficient ([\w./-]+[\w])", reasons)):
        if "/" in resource:
            yield f"all {resource} are taken, or no node has as many as one replica asks for: " + (
                gpu_counts_command(resource)
            )
        else:
            yield f"lower the {resource} in resources.requests, or add a node"
    for taint in dict.fromkeys(re.findall(r"untolerated taint \{([^:}]+)", reasons)):
        if not taint.startswith("node.kubernetes.io/"):
            yield f"add to the values' tolerations: {{key: {taint}, operator: Exists}}"
    if claim := re.search(r'persistentvolumeclaim "([^"]+)" not found', reasons):
        yield f"make the PersistentVolumeClaim {claim[1]}, or correct the name in the model's weights"
    elif "PersistentVolumeClaims" in reasons or "available persistent volumes" in reasons:
        yield f"no volume for its claim: kubectl -n {view.namespace} get pvc; kubectl get storageclass"
