"""The two questions to the Kubernetes API: list, and watch. The only file that speaks to it.

The official client is larger than everything else in the adapter's image together, so this is
aiohttp and no more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from ..errors import OpenAisleError
from .kube_access import KubeAccess

WATCH_S = 60
"""The API server is asked to end each watch after this time, so that a sign of life comes at least
this often."""
SILENCE_S = WATCH_S + 15.0
"""A watch in which nothing comes for so long has died without a word."""
LIST_TIMEOUT_S = 10.0

Objects = dict[str, dict[str, Any]]


class KubeError(OpenAisleError):
    """The API server can't be reached, or its answer is of no use."""


class Refused(KubeError):
    """The API server does not let us in (401, 403)."""


class Absent(KubeError):
    """The API server has no such resource (404)."""


class Gone(KubeError):
    """The changes asked for are too old to be had (410)."""


@dataclass(frozen=True)
class Resource:
    """One kind of objects, in one namespace or of the whole cluster."""

    name: str
    path: str
    label_selector: str


class KubeClient:
    """A connection pool to the API server, to be used in `async with`."""

    def __init__(self, access: KubeAccess):
        self._access = access

    async def __aenter__(self) -> KubeClient:
        """Make the pool."""
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the pool."""
        await self._session.close()

    async def list(self, resource: Resource) -> tuple[Objects, str]:
        """All objects by name, and the version of the list, from which a watch can go on.

        Raises:
            KubeError: see the classes.
        """
        timeout = aiohttp.ClientTimeout(total=LIST_TIMEOUT_S)
        async for line in self._lines(resource, {}, timeout):
            items = line.get("items") or []
            return {item["metadata"]["name"]: item for item in items}, line["metadata"]["resourceVersion"]
        raise KubeError(f"Kubernetes answered nothing when asked for {resource.name}.")

    async def watch(self, resource: Resource, version: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Changes since a version as pairs of their kind and the object, until the watch ends.

        Raises:
            KubeError: see the classes.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=LIST_TIMEOUT_S, sock_read=SILENCE_S)
        parameters = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
        }
        async for event in self._lines(resource, parameters, timeout):
            if event["type"] == "ERROR":
                raise _error(resource, event["object"].get("code"), event["object"].get("message", ""))
            yield event["type"], event["object"]

    async def _lines(
        self, resource: Resource, parameters: dict[str, str], timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[dict[str, Any]]:
        """The JSON objects of an answer, one a line, as they come."""
        token = self._access.token()
        try:
            async with self._session.get(
                self._access.server + resource.path,
                params={"labelSelector": resource.label_selector, **parameters},
                headers={"authorization": f"Bearer {token}"} if token else {},
                ssl=self._access.ssl_context or True,
                server_hostname=self._access.tls_server_name,
                timeout=timeout,
            ) as answer:
                if answer.status != 200:
                    raise _error(resource, answer.status, await answer.text())
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield json.loads(line)
                if rest.strip():
                    yield json.loads(rest)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise KubeError(
                f"Kubernetes can't be asked for {resource.name} ({error or type(error).__name__})."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise KubeError(f"Kubernetes' answer for {resource.name} is not what it should be.") from error


def _error(resource: Resource, code: int | None, text: str) -> KubeError:
    if code == 410:
        return Gone(f"The changes of {resource.name} are too old.")
    if code == 404:
        return Absent(f"Kubernetes here has no {resource.name}.")
    if code in (401, 403):
        return Refused(
            f"Kubernetes does not let us list and watch {resource.name} ({code}): give the adapter's service "
            f"account a Role with get, list and watch on {resource.name}."
        )
    return KubeError(f"Kubernetes answered {code} when asked for {resource.name}: {text[:200]}")
