"""From Kubernetes' Services and EndpointSlices to backends, without talking to anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..backends import Backend, Snapshot

MODEL_ANNOTATION = "openaisle.io/model"
SERVICE_LABEL = "kubernetes.io/service-name"
PORT_NAME = "http"


def snapshot_of(services: Iterable[dict[str, Any]], slices: Iterable[dict[str, Any]]) -> Snapshot:
    """Every model that a Service names, and the replicas behind it.

    Services without the model's annotation are no model servers. An address that stands in several
    slices at once, as happens while a controller moves it, counts once, and as ready if any of
    them says so.
    """
    model_of = {
        service["metadata"]["name"]: model
        for service in services
        if (model := (service["metadata"].get("annotations") or {}).get(MODEL_ANNOTATION, "").strip())
    }
    ready: dict[tuple[str, str], bool] = {}
    for slice_ in slices:
        model = model_of.get((slice_["metadata"].get("labels") or {}).get(SERVICE_LABEL, ""))
        if model is None:
            continue
        for url, is_ready in _endpoints(slice_):
            ready[url, model] = ready.get((url, model), False) or is_ready
    return Snapshot(
        backends=tuple(Backend(url, model, is_ready) for (url, model), is_ready in sorted(ready.items())),
        models=tuple(sorted(set(model_of.values()))),
        complete=True,
    )


def _endpoints(slice_: dict[str, Any]) -> Iterable[tuple[str, bool]]:
    port = _port(slice_.get("ports") or [])
    if port is None:
        return
    scheme = "https" if port.get("appProtocol") == "https" else "http"
    for endpoint in slice_.get("endpoints") or []:
        for address in (endpoint.get("addresses") or [])[:1]:  # all of an endpoint's addresses are one pod
            host = f"[{address}]" if ":" in address else address
            yield f"{scheme}://{host}:{port['port']}", _is_ready(endpoint.get("conditions") or {})


def _port(ports: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The port called `http`, or else the first one."""
    usable = [port for port in ports if port.get("port") and port.get("protocol", "TCP") == "TCP"]
    named = [port for port in usable if port.get("name") == PORT_NAME]
    return next(iter(named + usable), None)


def _is_ready(conditions: dict[str, Any]) -> bool:
    """Whether new requests may go to the endpoint; a condition that is not given counts as good.

    `ready` alone does not tell: a Service with `publishNotReadyAddresses` sets it for every pod,
    and then `serving` has the truth.
    """
    return (
        conditions.get("ready") is not False
        and conditions.get("serving") is not False
        and conditions.get("terminating") is not True
    )
