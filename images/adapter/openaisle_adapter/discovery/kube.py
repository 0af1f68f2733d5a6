"""Model servers found by watching Kubernetes.

It needs to get, list and watch `services` and `endpointslices` (discovery.k8s.io) in one namespace,
and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from ..backends import Backends
from ..errors import StartError
from .endpointslices import SERVICE_LABEL, snapshot_of
from .kube_access import load_access
from .kube_client import Gone, KubeClient, KubeError, Objects, Refused, Resource

SOURCE = "kubernetes"
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
START_ATTEMPTS = 3

logger = logging.getLogger(__name__)


class KubeDiscovery:
    """Keeps `Backends` in step with the Services and EndpointSlices of one namespace."""

    def __init__(self, namespace: str | None, selector: str, backends: Backends):
        self._access = load_access(namespace)
        self._backends = backends
        self._services: Objects | None = None
        self._slices: Objects | None = None
        of_namespace = f"namespaces/{self._access.namespace}"
        self._service_resource = Resource("services", f"/api/v1/{of_namespace}/services", selector)
        self._slice_resource = Resource(
            "endpointslices", f"/apis/discovery.k8s.io/v1/{of_namespace}/endpointslices", SERVICE_LABEL
        )
        backends.expect(SOURCE)

    async def connect(self) -> None:
        """Make sure that there is an API server, whether or not it lets us in yet.

        Raises:
            StartError: there is none.
        """
        failure: KubeError | None = None
        async with KubeClient(self._access) as client:
            for delay_s in BACKOFF_S[:START_ATTEMPTS]:
                try:
                    await client.list(self._service_resource)
                    return
                except Refused:
                    return  # `run` says so and keeps asking: permissions may come later
                except KubeError as error:
                    failure = error
                    await asyncio.sleep(delay_s)
        raise StartError(
            f"The Kubernetes API at {self._access.server} can't be reached ({failure}): check the "
            "cluster, or name the model servers with --backend in place of --discover."
        )

    async def run(self) -> None:
        """Follow both kinds of objects. Runs until it is cancelled."""
        async with KubeClient(self._access) as client:
            await asyncio.gather(
                self._follow(client, self._service_resource, self._set_services),
                self._follow(client, self._slice_resource, self._set_slices),
            )

    async def _follow(self, client: KubeClient, resource: Resource, take: Callable[[Objects], None]) -> None:
        async for objects in every_state(client, resource, lambda: self._backends.heard(SOURCE)):
            take(objects)
            if self._services is not None and self._slices is not None:
                snapshot = snapshot_of(self._services.values(), self._slices.values())
                self._backends.replace(SOURCE, snapshot)

    def _set_services(self, services: Objects) -> None:
        self._services = services

    def _set_slices(self, slices: Objects) -> None:
        self._slices = slices


async def every_state(
    client: KubeClient, resource: Resource, heard: Callable[[], None]
) -> AsyncIterator[Objects]:
    """All objects of the resource by name, as a whole, now and after each change. Never ends.

    While the API server is away or refuses, the last state stays as it is.
    """
    failures = 0
    while True:
        try:
            async for objects in _one_round(client, resource, heard):
                failures = 0
                yield objects
        except Gone:
            continue
        except KubeError as error:
            delay_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
            failures += 1
            logger.error("%s Asking again in %g s.", error, delay_s)
            await asyncio.sleep(delay_s)


async def _one_round(
    client: KubeClient, resource: Resource, heard: Callable[[], None]
) -> AsyncIterator[Objects]:
    """A list, and watches that take up from it where the one before ended.

    Raises:
        Gone: the changes since the last watch are no longer to be had; a new round lists again.
        KubeError: the API server is away or refuses.
    """
    objects, version = await client.list(resource)
    heard()
    yield dict(objects)
    while True:
        async for kind, item in client.watch(resource, version):
            heard()
            name = item["metadata"].get("name")
            version = item["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                continue
            if kind == "DELETED":
                objects.pop(name, None)
            else:
                objects[name] = item
            yield dict(objects)
        heard()
