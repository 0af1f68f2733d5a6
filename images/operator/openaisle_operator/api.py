"""What is asked of the API server beside the watches, which are kopf's. The only file that speaks to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import kopf

from .errors import ApiError, Invalid, NotFound
from .kinds import Kind

FIELD_MANAGER = "openaisle-operator"
TIMEOUT = aiohttp.ClientTimeout(total=20)

Object = dict[str, Any]


class Api:
    """A connection pool to the API server for one namespace, to be used in `async with`.

    Every question raises ApiError or one of its kinds where there is no answer, or no good one.
    """

    def __init__(self, access: Callable[[], kopf.ConnectionInfo], namespace: str):
        self._access = access
        self._namespace = namespace

    async def __aenter__(self) -> Api:
        """Make the pool."""
        access = self._access()
        self._server = access.server.rstrip("/")
        tls = access.as_ssl_context() if self._server.startswith("https:") else True
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), timeout=TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool."""
        await self._session.close()

    async def server_version(self) -> str:
        """For example v1.34.4."""
        return str((await self._ask("GET", "/version"))["gitVersion"])

    async def list(self, kind: Kind, labels: str = "", fields: str = "") -> list[Object]:
        """The objects of a kind that match a label selector and a field selector, where they are given."""
        answer = await self._ask("GET", self._path(kind), {"labelSelector": labels, "fieldSelector": fields})
        # The items of a list don't say what they are.
        return [{"apiVersion": kind.api_version, "kind": kind.name, **item} for item in answer["items"]]

    async def get(self, kind: Kind, name: str) -> Object:
        """Raises NotFound if it isn't there."""
        item: Object = await self._ask("GET", self._path(kind, name))
        return item

    async def apply(self, kind: Kind, item: Object) -> None:
        """Make the object, or set the fields that are written and take back those that no longer are."""
        await self._ask(
            "PATCH",
            self._path(kind, item["metadata"]["name"]),
            {"fieldManager": FIELD_MANAGER, "force": "true"},
            item,
            # JSON is YAML.
            content_type="application/apply-patch+yaml",
        )

    async def delete(self, kind: Kind, name: str, *, orphan: bool = False) -> None:
        """Delete the object, and what it owns unless orphan is set. One that isn't there is fine."""
        policy = "Orphan" if orphan else "Background"
        with contextlib.suppress(NotFound):
            await self._ask("DELETE", self._path(kind, name), {"propagationPolicy": policy})

    async def set_status(self, kind: Kind, name: str, status: Object) -> None:
        """Replace the given fields of the status."""
        path = self._path(kind, name) + "/status"
        await self._ask("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")

    def _path(self, kind: Kind, name: str = "") -> str:
        return kind.path(self._namespace) + (f"/{name}" if name else "")

    async def _ask(
        self,
        method: str,
        path: str,
        parameters: dict[str, str] | None = None,
        body: Object | None = None,
        *,
        content_type: str = "application/json",
    ) -> Any:
        try:
            async with self._session.request(
                method,
                self._server + path,
                params=parameters,
                data=None if body is None else json.dumps(body),
                headers={**self._access().as_http_headers(), "content-type": content_type},
            ) as answer:
                content = await answer.json(content_type=None)
                if answer.status < 400:
                    return content
                message = content.get("message", "") if isinstance(content, dict) else ""
                error = {404: NotFound, 422: Invalid}.get(answer.status, ApiError)
                raise error(answer.status, message or f"{method} {path}: {answer.reason}")
        except (aiohttp.ClientError, asyncio.TimeoutError, json.JSONDecodeError, OSError) as error:
            raise ApiError(0, f"{method} {path}: {error or type(error).__name__}") from error
