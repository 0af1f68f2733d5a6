"""`python -m openaisle_operator`: settings, then the watches, then an exit code."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import kopf

from .access import load_access
from .api import Api
from .errors import ApiError, NotFound, StartError
from .handlers import make_registry
from .kinds import OPT_MODEL
from .loops import Loops
from .reconciler import Reconciler
from .release import load_release
from .rendering import Renderer
from .settings import Settings, parse_settings

START_ATTEMPTS = 15
"""One a second: the API server takes some seconds to serve a kind that was just made."""

logger = logging.getLogger("openaisle_operator")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. Returns the exit code."""
    try:
        settings = parse_settings(arguments)
        kopf.configure()
        # A line for each event and each probe would hide those that matter.
        for name in ("kopf.objects", "kopf.activities", "aiohttp.access"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with tempfile.TemporaryDirectory(prefix="openaisle-operator-") as folder:
            asyncio.run(run(settings, Path(folder)))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def run(settings: Settings, work_dir: Path) -> None:
    """Follow the OPTModels of the namespace.

    Raises:
        StartError: something that is needed isn't there.
    """
    release = load_release(settings.release, settings.namespace, settings.values_dir)
    async with Api(load_access, settings.namespace) as api:
        kube_version = await check_cluster(api)
        renderer = Renderer(settings.helm, settings.chart_dir, release, kube_version, work_dir)
        logger.info("Serving the OPTModels in %s by the release %s.", release.namespace, release.name)
        loops = Loops(Reconciler(api, renderer, release, announce).reconcile)
        try:
            await kopf.operator(
                registry=make_registry(loops),
                namespaces=[settings.namespace],
                # The Deployment has one replica and never two at a time.
                standalone=True,
                liveness_endpoint=f"http://0.0.0.0:{settings.liveness_port}/healthz",
            )
        finally:
            await loops.stop()


async def check_cluster(api: Api) -> str:
    """Make sure that the cluster knows OPTModels and lets us read them. Returns its version.

    Raises:
        StartError: it doesn't.
    """
    attempts = 0
    while True:
        try:
            await api.list(OPT_MODEL)
            return await api.server_version()
        except ApiError as error:
            attempts += 1
            if attempts == START_ATTEMPTS:
                raise _start_error(error) from error
        await asyncio.sleep(1)


def _start_error(error: ApiError) -> StartError:
    if isinstance(error, NotFound):
        return StartError(
            "The cluster has no OPTModels: install their CustomResourceDefinition with the chart's "
            "operator.crd, or ask someone who may."
        )
    return StartError(f"The OPTModels can't be read ({error}).")


def announce(model: dict[str, Any], type: str, reason: str, message: str) -> None:
    """Post an Event about the model, which kopf does in the background, and log it."""
    logger.info("%s: %s: %s", model["metadata"]["name"], reason, message)
    kopf.event(kopf.Body(cast(kopf.RawBody, model)), type=type, reason=reason, message=message)


if __name__ == "__main__":
    sys.exit(main())
