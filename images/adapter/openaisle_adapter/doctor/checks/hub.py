"""Whether the Hub can be reached by the models that still need it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp

from ..finding import Finding
from ..models import Model, models_of
from ..view import View
from .names import resolves

HUB = "https://huggingface.co"
TIMEOUT_S = 10.0
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


async def check_hub(view: View) -> AsyncIterator[Finding]:
    """A line for each Hub that a model reads from; a model that is ready has read all that it needs.

    Raises:
        Unseen: the account may not list workloads.
    """
    waiting: dict[str, list[Model]] = {}
    done: set[str] = set()
    for model in models_of(view):
        if url := hub_of(model):
            if model.replicas and not model.ready:
                waiting.setdefault(url, []).append(model)
            else:
                done.add(url)
    for url, models in waiting.items():
        yield await _try(url, models)
    for url in sorted(done - waiting.keys()):
        yield Finding("hub", "ok", f"the models of {url} are loaded")


def hub_of(model: Model) -> str:
    """Address of the Hub that the model is fetched from; empty if its weights come from elsewhere."""
    if not model.downloads:
        return ""
    return str(model.env.get("HF_ENDPOINT", {}).get("value") or HUB)


async def _try(url: str, models: list[Model]) -> Finding:
    names = ", ".join(model.name for model in models)
    if any(proxy in model.env for model in models for proxy in PROXIES):
        return Finding(
            "hub",
            "skipped",
            f"{names}: reached through a proxy, which isn't tried here",
            "see the model's log",
        )
    if problem := await _problem(url):
        return Finding(
            "hub",
            "fail",
            f"{url}, from which {names} is fetched, cannot be reached ({problem})",
            "correct weights.endpoint, open networkPolicy.hubPorts, set HTTPS_PROXY in the model's env, or "
            "bring the weights on a claim",
            "hub",
        )
    return Finding("hub", "ok", f"{url} answers; {names} is being fetched")


async def _problem(url: str) -> str:
    """Empty if anything answers there, whatever it says: models are asked for by their own server."""
    host = urlsplit(url).hostname or ""
    if problem := await resolves(host):
        return f"the name {host} isn't resolved: {problem}"
    try:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.head(url):
            return ""
    except asyncio.TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
