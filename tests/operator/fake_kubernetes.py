"""An API server that keeps objects in memory: list by label, get, server-side apply, delete, status.

It does as much of each as the operator needs: an apply replaces the object's own fields and keeps its status.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Object = dict[str, Any]


class FakeKubernetes:
    """Its objects by plural and name, and what it was asked to do."""

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, dict[str, Object]] = {}
        self.changes: list[str] = []
        """Such as "apply services/openaisle-m", in order."""
        self.refusals: dict[str, tuple[int, str]] = {}
        """Status and message for the next of such a change."""

    def put(self, plural: str, item: Object) -> Object:
        """Add or replace an object."""
        self.objects.setdefault(plural, {})[item["metadata"]["name"]] = item
        return item

    def one(self, plural: str, name: str) -> Object:
        """Raises KeyError if it isn't there."""
        return self.objects[plural][name]

    def names(self, plural: str) -> set[str]:
        """Of the objects that are there."""
        return set(self.objects.get(plural, {}))

    async def answer(self, request: web.Request) -> web.Response:
        """Every route."""
        plural, name = request.match_info["plural"], request.match_info.get("name", "")
        if not name:
            items = self.objects.get(plural, {}).values()
            if any(len(pair.split("=")[-1]) > 63 for pair in request.query["labelSelector"].split(",")):
                message = "must be no more than 63 characters"
                return web.json_response({"kind": "Status", "message": message}, status=400)
            wanted = [pair.split("=") for pair in request.query["labelSelector"].split(",") if pair]
            found = [
                {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}
                for item in items
                if all(item["metadata"].get("labels", {}).get(key) == value for key, value in wanted)
            ]
            return web.json_response({"kind": "List", "items": found})
        change = {"PATCH": "apply", "DELETE": "delete"}.get(request.method)
        if request.path.endswith("/status"):
            status = (await request.json())["status"]
            if not isinstance(status["gpuFamily"], str | None):
                message = "status.gpuFamily in body must be of type string"
                return web.json_response({"kind": "Status", "message": message}, status=422)
            self.one(plural, name)["status"] = status
            self.changes.append(f"status {plural}/{name}")
            return web.json_response({})
        if change:
            self.changes.append(f"{change} {plural}/{name}")
            if self.changes[-1] in self.refusals:
                status, message = self.refusals.pop(self.changes[-1])
                return web.json_response({"kind": "Status", "message": message}, status=status)
        if change == "apply":
            old = self.objects.get(plural, {}).get(name, {})
            item = {**json.loads(await request.text()), "status": old.get("status", {})}
            item["metadata"] |= {"generation": 1, "uid": f"uid-{plural}-{name}"}
            return web.json_response(self.put(plural, item))
        if name not in self.objects.get(plural, {}):
            return web.json_response({"kind": "Status", "message": f'"{name}" not found'}, status=404)
        if change == "delete":
            self.changes[-1] += f" {request.query['propagationPolicy']}"
            del self.objects[plural][name]
            return web.json_response({})
        return web.json_response(self.one(plural, name))


@asynccontextmanager
async def fake_kubernetes() -> AsyncIterator[FakeKubernetes]:
    """An API server that runs while the block does."""
    kubernetes = FakeKubernetes()
    app = web.Application()
    for root in ("/api/v1", "/apis/{group}/{version}"):
        path = root + "/namespaces/lab/{plural}"
        for suffix in ("", "/{name}", "/{name}/status"):
            app.router.add_route("*", path + suffix, kubernetes.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    kubernetes.url = f"http://{host}:{port}"
    try:
        yield kubernetes
    finally:
        await runner.cleanup()
