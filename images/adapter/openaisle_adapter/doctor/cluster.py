"""Asks the API server, once, for all that the checks look at. Only lists, never writes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..discovery.kube_access import KubeAccess
from ..discovery.kube_client import Absent, KubeClient, Refused, Resource
from ..errors import StartError
from .view import COMPONENT, INSTANCE, Object, View, labels

NAMESPACED = {
    "deployments": "/apis/apps/v1",
    "events": "/api/v1",
    "httproutes": "/apis/gateway.networking.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "jobs": "/apis/batch/v1",
    "optmodels": "/apis/openaisle.io/v1alpha1",
    "persistentvolumeclaims": "/api/v1",
    "pods": "/api/v1",
    "statefulsets": "/apis/apps/v1",
}
CLUSTER_WIDE = {
    "ingressclasses": "/apis/networking.k8s.io/v1",
    "nodes": "/api/v1",
    "runtimeclasses": "/apis/node.k8s.io/v1",
    "storageclasses": "/apis/storage.k8s.io/v1",
}


@dataclass(frozen=True)
class _Kind:
    name: str
    path: str


async def look(access: KubeAccess, release: str | None, chart: str | None = None) -> View:
    """Everything at once. Without a release's name, the only release of the namespace is meant.

    Raises:
        StartError: there is no such release, or the choice among several is open.
        KubeError: the API server can't be reached.
    """
    kinds = [
        _Kind(kind, f"{group}/namespaces/{access.namespace}/{kind}") for kind, group in NAMESPACED.items()
    ]
    kinds += [_Kind(kind, f"{group}/{kind}") for kind, group in CLUSTER_WIDE.items()]
    async with KubeClient(access) as client:
        lists = await asyncio.gather(*(_list(client, kind) for kind in kinds))
    objects = {kind.name: found for kind, found in zip(kinds, lists, strict=True)}
    return View(access.namespace, release or _only_release(access.namespace, objects), objects, chart=chart)


async def _list(client: KubeClient, kind: _Kind) -> list[Object] | None:
    try:
        found, _ = await client.list(Resource(kind.name, kind.path, ""))
    except Refused:
        return None
    except Absent:  # an API that the cluster doesn't have, such as the Gateway API
        return []
    return list(found.values())


def _only_release(namespace: str, objects: dict[str, list[Object] | None]) -> str:
    deployments = objects["deployments"]
    if deployments is None:
        raise StartError("Name the release with --release: the account may not list Deployments.")
    releases = sorted(
        {
            labels(item).get(INSTANCE, "")
            for item in deployments
            if labels(item).get(COMPONENT) == "adapter"
            and labels(item).get("app.kubernetes.io/part-of") == "openaisle"
        }
    )
    if not releases:
        raise StartError(
            f"There is no release of OpenAISLE in the namespace {namespace}: choose another with --namespace."
        )
    if len(releases) > 1:
        raise StartError(
            f"The namespace {namespace} has the releases {', '.join(releases)}: choose one with --release."
        )
    return releases[0]
