"""Volumes: whether the claims are there, bound, of a class that exists, and may be shared as they are."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from ..models import Model, models_of
from ..view import Object, Unseen, View, name

SHARED_MODES = {"ReadWriteMany", "ReadOnlyMany"}
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def check_storage(view: View) -> Iterator[Finding]:
    """A line for each claim of each model.

    Raises:
        Unseen: the account may not list claims or workloads.
    """
    claims = {name(item): item for item in view.all("persistentvolumeclaims")}
    for model in models_of(view):
        for claim_name in model.claims:
            claim = claims.get(claim_name)
            if claim is None:
                yield _failed(
                    model,
                    f"there is no PersistentVolumeClaim {claim_name}",
                    "make it, or correct the name in the model's weights",
                )
            elif model.replicas > 1 and not SHARED_MODES & set(claim["spec"].get("accessModes") or []):
                yield _failed(
                    model,
                    f"{model.replicas} replicas share the claim {claim_name}, whose access mode is "
                    f"{', '.join(claim['spec'].get('accessModes') or [])}",
                    "write replicas: 1, or use a claim with ReadOnlyMany or ReadWriteMany",
                )
            else:
                yield _bound(view, model, claim)
        for claim_name in _own_claims(model):
            if claim_name in claims:
                yield _bound(view, model, claims[claim_name])


def _own_claims(model: Model) -> list[str]:
    """The claims that a StatefulSet makes: one for each replica."""
    return [
        f"{template['metadata']['name']}-{name(model.workload)}-{ordinal}"
        for template in model.workload["spec"].get("volumeClaimTemplates") or []
        for ordinal in range(model.replicas)
    ]


def _bound(view: View, model: Model, claim: Object) -> Finding:
    phase = (claim.get("status") or {}).get("phase", "Pending")
    if phase == "Bound":
        return Finding("storage", "ok", f"model {model.name}: the claim {name(claim)} is bound")
    if phase == "Lost":
        return _failed(
            model,
            f"the volume behind the claim {name(claim)} is gone",
            "restore it, or delete the claim and let the weights be fetched again",
        )
    return _failed(model, f"the claim {name(claim)} isn't bound", _why_unbound(view, claim))


def _why_unbound(view: View, claim: Object) -> str:
    wanted = claim["spec"].get("storageClassName")
    describe = f"kubectl -n {view.namespace} describe pvc {name(claim)}"
    try:
        classes = view.all("storageclasses")
    except Unseen:
        return f"see {describe}, and the classes that there are: kubectl get storageclass"
    there = ", ".join(sorted(name(item) for item in classes)) or "none"
    if wanted and wanted not in [name(item) for item in classes]:
        return f"its StorageClass {wanted} doesn't exist; the classes are: {there}"
    if not wanted and not any(
        (item["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true" for item in classes
    ):
        return f"the cluster has no default StorageClass; name one in storageClassName ({there})"
    return f"its class has no volume for it: {describe}"


def _failed(model: Model, text: str, cure: str) -> Finding:
    return Finding("storage", "fail", f"model {model.name}: {text}", cure, "volumes")
