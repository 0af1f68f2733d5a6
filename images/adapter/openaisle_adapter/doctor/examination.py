"""All checks in the order in which things go wrong: nodes, volumes, pods, ways in, names, a completion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .checks.completion import check_completion
from .checks.disk import check_pressure
from .checks.drivers import check_drivers
from .checks.hub import check_hub
from .checks.ingress import check_ingress
from .checks.keys import check_keys, read_keys
from .checks.names import check_dns
from .checks.nodes import check_nodes, gpu_counts_command
from .checks.optmodels import check_optmodels
from .checks.pods import check_pods
from .checks.preload import check_preload
from .checks.runtime import check_runtime
from .checks.storage import check_storage
from .checks.token import check_token
from .cluster import CLUSTER_WIDE
from .finding import Finding
from .gateway import gateway_of
from .models import models_of
from .view import Unseen, View

LOOKED_AT: dict[str, Callable[[View], Iterator[Finding]]] = {
    "nodes": check_nodes,
    "drivers": check_drivers,
    "runtime": check_runtime,
    "pressure": check_pressure,
    "storage": check_storage,
    "optmodels": check_optmodels,
    "preload": check_preload,
    "pods": check_pods,
    "token": check_token,
    "ingress": check_ingress,
}
BY_HAND = {
    "nodes": gpu_counts_command("nvidia.com/gpu"),
    "drivers": "kubectl get nodes -L nvidia.com/cuda.driver-version.major,nvidia.com/cuda.driver.major",
    "pressure": "kubectl describe nodes | grep -E '^Name:|Pressure'",
}


@dataclass(frozen=True)
class Surroundings:
    """What a pod of the release has at hand, and a laptop hasn't."""

    keys_dir: Path | None
    adapter_url: str | None
    in_cluster: bool
    ask_models: bool = True


async def examine(view: View, surroundings: Surroundings) -> list[Finding]:
    """Every finding. What can't be seen becomes a finding that says so."""
    findings: list[Finding] = []
    for name, check in LOOKED_AT.items():
        findings += [finding async for finding in _seen(view, name, _each(check(view)))]
    findings += list(check_keys(surroundings.keys_dir, gateway_of(view).keys_secret, view.namespace))
    if surroundings.in_cluster:
        findings += [finding async for finding in check_dns()]
        findings += [finding async for finding in _seen(view, "hub", check_hub(view))]
    if surroundings.ask_models:
        findings += [finding async for finding in _seen(view, "completion", _completion(view, surroundings))]
    return findings


async def _completion(view: View, surroundings: Surroundings) -> AsyncIterator[Finding]:
    keys = read_keys(surroundings.keys_dir) if surroundings.keys_dir else {}
    if not surroundings.adapter_url or not keys:
        yield Finding(
            "completion",
            "skipped",
            "there is no key, or no way to the gateway, from here",
            f"kubectl -n {view.namespace} exec deploy/{gateway_of(view).deployment} -- openaisle doctor",
        )
        return
    models: dict[str, bool] = {}
    for model in models_of(view):
        if model.replicas:
            models[model.served] = models.get(model.served, False) or model.ready > 0
    async for finding in check_completion(surroundings.adapter_url, next(iter(keys.values())), models):
        yield finding


async def _each(findings: Iterator[Finding]) -> AsyncIterator[Finding]:
    for finding in findings:
        yield finding


async def _seen(view: View, check: str, findings: AsyncIterator[Finding]) -> AsyncIterator[Finding]:
    """The findings, and where an account may not see enough, one that says so and how to see it."""
    try:
        async for finding in findings:
            yield finding
    except Unseen as unseen:
        if unseen.kind in CLUSTER_WIDE:
            value, command = "doctor.clusterAccess", f"kubectl get {unseen.kind}"
        else:
            value, command = "doctor.enabled", f"kubectl -n {view.namespace} get {unseen.kind}"
        yield Finding(
            check,
            "skipped",
            f"this account may not list {unseen.kind} (the chart's value {value} lets it)",
            f"see for yourself: {BY_HAND.get(check, command)}",
        )
