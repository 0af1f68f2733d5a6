"""What kopf watches, and whom it wakes.

All are coroutines: kopf would run plain functions in threads.

Only events are handled, and no changes or daemons, for which kopf would put a finalizer on each OPTModel: it
would hold a model that is deleted while no operator runs. Owner references clean up, so none is needed.
"""

from __future__ import annotations

from typing import Any

import kopf

from .access import load_access
from .kinds import CHILDREN, OPT_MODEL, POD, Kind
from .loops import Loops
from .ownership import LABEL

NAME_LABEL = "openaisle.io/model-name"
"""On pods the chart sets it; it is the OPTModel's name too."""


def make_registry(loops: Loops) -> kopf.OperatorRegistry:
    """The handlers, which wake the models' loops."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(id="login", registry=registry)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return load_access()

    @kopf.on.startup(id="settings", registry=registry)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        # Watching for new kinds and namespaces takes cluster-wide rights.
        settings.scanning.disabled = True
        settings.posting.reporting_component = "openaisle-operator"
        settings.posting.event_name_prefix = "openaisle-"
        settings.watching.connect_timeout = 10
        settings.watching.server_timeout = 300
        settings.networking.request_timeout = 20

    served_names: dict[str, str | None] = {}

    @kopf.on.event(*_resource(OPT_MODEL), registry=registry)
    async def on_model(type: str | None, name: str, meta: kopf.Meta, status: kopf.Status, **_: Any) -> None:
        # Our own writing of the status is no news.
        if type != "MODIFIED" or meta["generation"] != status.get("observedGeneration"):
            loops.wake(name)
        served = None if type == "DELETED" else status.get("servedName")
        if served_names.pop(name, None) != served:
            # Another may have waited for the name that this one had.
            loops.wake_all()
        if served:
            served_names[name] = served

    async def on_child(labels: kopf.Labels, **_: Any) -> None:
        loops.wake(labels[LABEL])

    for kind in CHILDREN:
        kopf.on.event(*_resource(kind), labels={LABEL: kopf.PRESENT}, registry=registry)(on_child)

    @kopf.on.event(*_resource(POD), labels={NAME_LABEL: kopf.PRESENT}, registry=registry)
    async def on_pod(labels: kopf.Labels, **_: Any) -> None:
        loops.wake(labels[NAME_LABEL])

    @kopf.on.probe(id="models", registry=registry)
    async def count_models(**_: Any) -> int:
        return len(loops)

    return registry


def _resource(kind: Kind) -> tuple[str, str, str]:
    return kind.group, kind.version, kind.plural
