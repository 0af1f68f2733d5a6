"""The program `openaisle doctor`: options, one look at the cluster, the report, an exit code."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..discovery.kube_access import KubeAccess, load_access
from ..discovery.kube_client import KubeError
from ..errors import StartError
from .cluster import look
from .examination import Surroundings, examine
from .finding import counts
from .models import models_of
from .report import as_json, as_text
from .view import Unseen, View

KEYS_DIR = Path("/etc/openaisle/keys")
ADAPTER_URL = "http://127.0.0.1:8000"
POLL_S = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when nothing failed, else 1."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except (StartError, KubeError) as error:
        print(error, file=sys.stderr)
        return 1


async def _run(options: argparse.Namespace) -> int:
    access = load_access(options.namespace)
    await _wait(access, options)
    view = await look(access, options.release, options.chart)
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    surroundings = Surroundings(
        keys_dir=options.keys_dir or (KEYS_DIR if in_cluster else None),
        adapter_url=options.adapter_url or (ADAPTER_URL if in_cluster else None),
        in_cluster=in_cluster,
        ask_models=not options.skip_completion,
    )
    findings = await examine(view, surroundings)
    print(as_json(view, findings) if options.json else as_text(view, findings))
    return 1 if counts(findings)["fail"] else 0


async def _wait(access: KubeAccess, options: argparse.Namespace) -> None:
    """Come back when every model has the replicas that it wants, or when the time is over."""
    deadline = time.monotonic() + options.wait_s
    said: list[str] = []
    while time.monotonic() < deadline:
        waiting = _not_ready(await look(access, options.release, options.chart))
        if not waiting:
            return
        if waiting != said:
            print(f"Waiting for {', '.join(waiting)}.", file=sys.stderr, flush=True)
            said = waiting
        await asyncio.sleep(POLL_S)


def _not_ready(view: View) -> list[str]:
    """Models that have fewer replicas ready than they want, and the gateway; none where none can be seen."""
    try:
        models = models_of(view)
        gateways = view.of_release("deployments", "adapter")
    except Unseen:
        return []
    waiting = [
        f"model {model.name} ({model.ready}/{model.replicas})"
        for model in models
        if model.ready < model.replicas
    ]
    for gateway in gateways:
        status = gateway.get("status") or {}
        if (status.get("availableReplicas") or 0) < gateway["spec"].get("replicas", 1):
            waiting.append("the gateway")
    return waiting


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openaisle doctor",
        description="Look at a release on Kubernetes and say what is wrong and what cures it. "
        "It reads and never writes. It runs in the gateway's pod, in the chart's Job, or anywhere with "
        "a kubeconfig.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"openaisle {__version__}")
    add("--json", action="store_true", help="print one JSON object in place of lines")
    add("--namespace", help="the release's namespace (default: the pod's own, or the kubeconfig's)")
    add(
        "--release",
        default=os.environ.get("OPENAISLE_RELEASE"),
        help="the release (default: $OPENAISLE_RELEASE, or the only one in the namespace)",
    )
    add(
        "--chart",
        metavar="NAME",
        default=os.environ.get("OPENAISLE_CHART"),
        help="what the chart is called in a release that has it twice, as under two aliases "
        "(default: $OPENAISLE_CHART, or all of the release)",
    )
    add("--keys-dir", metavar="DIR", type=Path, help=f"folder with the clients' keys (in a pod: {KEYS_DIR})")
    add("--adapter-url", metavar="URL", help=f"address of the gateway (in a pod: {ADAPTER_URL})")
    add("--skip-completion", action="store_true", help="ask no model for a completion")
    add(
        "--wait-s",
        metavar="S",
        type=float,
        default=0.0,
        help="seconds to wait for the models to be ready before looking (default: %(default)g)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
