"""An API server for tests: lists and watches of Services and EndpointSlices over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

MODEL_SERVICE_LABELS = {"openaisle.io/backend": "true"}


def service(name: str, model: str | None, **metadata: Any) -> dict[str, Any]:
    """A Service that stands for a model."""
    annotations = {} if model is None else {"openaisle.io/model": model}
    return {
        "metadata": {"name": name, "annotations": annotations, "labels": MODEL_SERVICE_LABELS, **metadata}
    }


def endpoint(address: str, **conditions: bool) -> dict[str, Any]:
    """One pod behind a Service."""
    return {"addresses": [address], "conditions": conditions}


def endpoint_slice(name: str, of: str, port: int, *endpoints: dict[str, Any]) -> dict[str, Any]:
    """An EndpointSlice of a Service."""
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": of}},
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


class FakeKubernetes:
    """Objects of one namespace, and everybody who watches them."""

    def __init__(self) -> None:
        self.url = ""
        self.allowed = True
        self.closing = False
        self.token_seen: str | None = None
        self.num_lists = 0
        self.selectors: dict[str, str] = {}
        self._version = 100
        self._objects: dict[str, dict[str, dict[str, Any]]] = {"services": {}, "endpointslices": {}}
        self._history: dict[str, list[tuple[int, bytes]]] = {"services": [], "endpointslices": []}
        self._watchers: dict[str, set[asyncio.Queue[bytes | None]]] = {
            "services": set(),
            "endpointslices": set(),
        }

    def put(self, kind: str, item: dict[str, Any]) -> None:
        """Add or change an object, and tell the watchers."""
        name = item["metadata"]["name"]
        event = "MODIFIED" if name in self._objects[kind] else "ADDED"
        self._objects[kind][name] = self._stamped(item)
        self._tell(kind, event, self._objects[kind][name])

    def delete(self, kind: str, name: str, *, quietly: bool = False) -> None:
        """Take an object away; quietly means that no watcher hears of it."""
        item = self._stamped(self._objects[kind].pop(name))
        if not quietly:
            self._tell(kind, "DELETED", item)

    def bookmark(self, kind: str) -> None:
        """Tell the watchers nothing but how far the versions have come."""
        self._tell(kind, "BOOKMARK", self._stamped({"metadata": {}}))

    def end_watches(self, kind: str, *, gone: bool = False) -> None:
        """End all watches, as the server's timeout does; or say that their version is too old."""
        for queue in self._watchers[kind]:
            if gone:
                status = {"kind": "Status", "code": 410, "message": "too old resource version"}
                queue.put_nowait(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
            queue.put_nowait(None)

    def num_watches(self, kind: str) -> int:
        """How many watches are open."""
        return len(self._watchers[kind])

    def _stamped(self, item: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        return {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}

    def _tell(self, kind: str, event: str, item: dict[str, Any]) -> None:
        line = json.dumps({"type": event, "object": item}).encode() + b"\n"
        self._history[kind].append((self._version, line))
        for queue in self._watchers[kind]:
            queue.put_nowait(line)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        self.token_seen = request.headers.get("authorization")
        self.selectors[kind] = request.query["labelSelector"]
        if self.closing:
            return web.Response(status=503)
        if not self.allowed:
            return web.json_response({"kind": "Status", "code": 403, "message": "forbidden"}, status=403)
        if request.query.get("watch") == "true":
            return await self._watch(request, kind)
        self.num_lists += 1
        listed = {
            "metadata": {"resourceVersion": str(self._version)},
            "items": [*self._objects[kind].values()],
        }
        return web.json_response(listed)

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        for version, line in self._history[kind]:
            if version > since:
                queue.put_nowait(line)
        self._watchers[kind].add(queue)
        try:
            while (line := await queue.get()) is not None:
                # In two pieces, as the network may cut it.
                await response.write(line[:10])
                await response.write(line[10:])
        finally:
            self._watchers[kind].discard(queue)
        return response

    def kubeconfig(self, folder: Path) -> Path:
        """A kubeconfig that leads here, into the namespace `ours`."""
        path = folder / "kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "current-context": "c",
                    "contexts": [
                        {"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "ours"}}
                    ],
                    "clusters": [{"name": "k", "cluster": {"server": self.url}}],
                    "users": [{"name": "u", "user": {"token": "t0ken"}}],
                }
            )
        )
        return path


@asynccontextmanager
async def fake_kubernetes(port: int = 0) -> AsyncIterator[FakeKubernetes]:
    """An API server that runs while the block does."""
    kubernetes = FakeKubernetes()
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/ours/{kind:services}", kubernetes._answer)
    app.router.add_get("/apis/discovery.k8s.io/v1/namespaces/ours/{kind:endpointslices}", kubernetes._answer)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    host, bound_port = runner.addresses[0][:2]
    kubernetes.url = f"http://{host}:{bound_port}"
    try:
        yield kubernetes
    finally:
        await site.stop()
        kubernetes.closing = True
        for kind in ("services", "endpointslices"):
            kubernetes.end_watches(kind)
        await runner.cleanup()
