"""A real completion from each model, through the gateway and with a real key."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import aiohttp

from ..finding import Anchor, Finding

TIMEOUT_S = 60.0
PROMPT = "Once upon a time"


async def check_completion(url: str, key: str, models: dict[str, bool]) -> AsyncIterator[Finding]:
    """A line for each model; `models` maps the ids that clients use to whether a replica is ready."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for model, ready in sorted(models.items()):
            if ready:
                yield await _complete(session, url, key, model)
            else:
                yield Finding("completion", "skipped", f"{model}: no replica is ready", "see the pods above")


async def _complete(session: aiohttp.ClientSession, url: str, key: str, model: str) -> Finding:
    body = {"model": model, "prompt": PROMPT, "max_tokens": 4, "temperature": 0}
    began = time.monotonic()
    try:
        async with session.post(
            f"{url}/v1/completions", json=body, headers={"authorization": f"Bearer {key}"}
        ) as answer:
            text = await answer.text()
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        return _failed(
            model,
            f"the gateway at {url} doesn't answer ({error or type(error).__name__})",
            "see its pod above",
            "502",
        )
    if answer.status != 200:
        return _failed(model, f"status {answer.status}: {_message(text)}", *_CURES.get(answer.status, _OTHER))
    try:
        said = json.loads(text)["choices"][0]["text"]
    except (ValueError, LookupError, TypeError):
        return _failed(model, f"the answer isn't a completion: {text[:120]}", *_OTHER)
    seconds = time.monotonic() - began
    return Finding("completion", "ok", f"{model}: {PROMPT + said!r} in {seconds:.1f} s")


_OTHER: tuple[str, Anchor] = ("kubectl logs of the gateway and of the model tell more", "502")
_CURES: dict[int, tuple[str, Anchor]] = {
    401: ("the gateway has not read the Secret's keys yet (it takes a minute), or cannot", "401"),
    404: ("no Service carries this model's name: helm upgrade, or see the names with GET /v1/models", "404"),
    429: ("the model's queue or the key's limits are full; ask again later", "429"),
    503: ("no replica takes requests now: see the pods above", "502"),
    504: ("the model is silent for longer than the gateway's --timeout-s: see its log", "502"),
}


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return text[:200]


def _failed(model: str, text: str, cure: str, see: Anchor) -> Finding:
    return Finding("completion", "fail", f"{model}: {text}", cure, see)
