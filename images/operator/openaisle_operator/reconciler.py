"""One round for one model: read it, make its objects, say how it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from .api import Api
from .claims import keep_size
from .conditions import Condition, changed, merge
from .errors import ApiError, Invalid, NotFound, Refused
from .kinds import CHILDREN, CLAIM, EVENT, OPT_MODEL, POD, WORKLOADS, Kind, kind_of
from .names import check_names
from .ownership import LABEL, kept, owned, owners
from .readiness import TROUBLES, ready_condition
from .release import Release
from .rendering import Renderer
from .status import pod_selector, served_name, summary

Object = dict[str, Any]
Announce = Callable[[Object, str, str, str], None]
"""Called with the OPTModel and an Event's type, reason and message."""

Key = tuple[Kind, str]
"""What tells an object from others: its kind and name."""

RECREATE_TIMEOUT_S = 20.0
MAX_LABEL_CHARACTERS = 63
"""Of a label's value; an OPTModel's name may be longer, and then there is nothing of it."""


class Reconciler:
    """Brings the objects in step with the OPTModels."""

    def __init__(self, api: Api, renderer: Renderer, release: Release, announce: Announce):
        self._api = api
        self._renderer = renderer
        self._release = release
        self._announce = announce
        # One round at a time: of two models that want one name, the second sees that the first has it.
        self._turn = asyncio.Lock()

    async def reconcile(self, name: str) -> bool:
        """One round. Returns False if the model is gone, whose objects Kubernetes' garbage collector deletes.

        Raises:
            ApiError: try again later. Where the API server answered, the condition says so meanwhile.
        """
        async with self._turn:
            models = {item["metadata"]["name"]: item for item in await self._api.list(OPT_MODEL)}
            model = models.pop(name, None)
            if model is None or "deletionTimestamp" in model["metadata"]:
                self._renderer.forget(name)
                return False
            try:
                await self._make(model, [*models.values()])
            except Refused as refusal:
                await self._report(model, Condition("Accepted", False, refusal.reason, str(refusal)))
            except ApiError as error:
                if error.status:
                    message = f"The API server refuses an object: {error}"
                    await self._report(model, Condition("Accepted", False, "ApiServerRefuses", message))
                raise
            else:
                done = Condition("Accepted", True, "Accepted", "The model's objects are made.")
                await self._report(model, done)
            return True

    async def _make(self, model: Object, others: Sequence[Object]) -> None:
        """Make and change the objects. Where the model is refused, those of its last accepted spec stay.

        Raises:
            Refused: the model cannot be made as it is written.
        """
        name = model["metadata"]["name"]
        rendered = await self._renderer.render(name, model.get("spec") or {})
        check_names(model, served_name(rendered), others, self._release.served_names)
        wanted = _by_key([owned(item, model) for item in rendered])
        existing = await self._children(name)
        for key, item in wanted.items():
            await self._check_owner(key[0], item, existing.get(key), model)
            if key[0] == CLAIM and key in existing:
                keep_size(item, existing[key], model.get("spec") or {})
        for key in sorted(wanted, key=lambda key: CHILDREN.index(key[0])):
            await self._apply(key[0], wanted[key], model)
        for key in existing.keys() - wanted.keys():
            if model["metadata"]["uid"] in owners(existing[key]) and not kept(existing[key]):
                await self._api.delete(*key)

    async def _children(self, name: str) -> dict[Key, Object]:
        """What carries the model's label."""
        found = await asyncio.gather(*(self._api.list(kind, f"{LABEL}={name}") for kind in CHILDREN))
        return _by_key([item for items in found for item in items])

    async def _check_owner(self, kind: Kind, item: Object, existing: Object | None, model: Object) -> None:
        """Nothing that someone else made is overwritten.

        Raises:
            Refused: it is someone else's.
            ApiError: it belongs to a model of the same name that was just deleted, and goes in a moment.
        """
        name = item["metadata"]["name"]
        if existing is None:
            try:
                existing = await self._api.get(kind, name)
            except NotFound:
                return
            if existing["metadata"].get("labels", {}).get(LABEL) != model["metadata"]["name"]:
                raise Refused(
                    "NameTaken",
                    f"There is a {kind.name} {name} already, which isn't this OPTModel's; "
                    "give the OPTModel another name.",
                )
        if owners(existing) - {model["metadata"]["uid"]}:
            raise ApiError(
                409, f"The {kind.name} {name} of an earlier OPTModel of this name is still being deleted."
            )

    async def _apply(self, kind: Kind, item: Object, model: Object) -> None:
        try:
            await self._api.apply(kind, item)
        except Invalid as error:
            if not error.immutable:
                raise
            await self._recreate(kind, item, model)

    async def _recreate(self, kind: Kind, item: Object, model: Object) -> None:
        """What can't be changed in place is made anew; the pods of a workload go on serving meanwhile."""
        name = item["metadata"]["name"]
        self._announce(
            model,
            "Normal",
            "Recreated",
            f"The {kind.name} {name} can't be changed in place; it is made anew.",
        )
        await self._api.delete(kind, name, orphan=kind in WORKLOADS)
        try:
            await asyncio.wait_for(self._wait_until_gone(kind, name), RECREATE_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise ApiError(409, f"The {kind.name} {name} is still being deleted.") from None
        await self._api.apply(kind, item)

    async def _wait_until_gone(self, kind: Kind, name: str) -> None:
        while True:
            try:
                await self._api.get(kind, name)
            except NotFound:
                return
            await asyncio.sleep(0.2)

    async def _report(self, model: Object, accepted: Condition) -> None:
        """Write the status where it differs, and an Event for each condition that turned."""
        name = model["metadata"]["name"]
        workload = None
        if len(name) <= MAX_LABEL_CHARACTERS:
            for kind in WORKLOADS:
                workload = next(iter(await self._api.list(kind, f"{LABEL}={name}")), workload)
        pods, failures = [], []
        if workload:
            pods = await self._api.list(POD, pod_selector(workload))
            failed = f"involvedObject.uid={workload['metadata']['uid']},reason=FailedCreate"
            failures = [] if pods else await self._api.list(EVENT, fields=failed)
        conditions = [accepted, ready_condition(workload, pods, failures)]

        old = model.get("status") or {}
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        generation = model["metadata"]["generation"]
        status = {
            "observedGeneration": generation,
            **summary(model, workload),
            "conditions": merge(old.get("conditions", []), conditions, generation, now),
        }
        if {key: old.get(key) for key in status} != status:
            await self._api.set_status(OPT_MODEL, name, status)
        for condition in changed(old.get("conditions", []), conditions):
            if condition.type == "Ready" and condition.status:
                self._announce(model, "Normal", "Ready", condition.message)
            elif not condition.status and (condition.type == "Accepted" or condition.reason in TROUBLES):
                self._announce(model, "Warning", condition.reason, condition.message)


def _by_key(items: Sequence[Object]) -> dict[Key, Object]:
    return {(kind_of(item["apiVersion"], item["kind"]), item["metadata"]["name"]): item for item in items}
