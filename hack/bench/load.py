"""Clients that all ask a completions server at the same time."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp


async def run_clients(
    url: str, model: str, prompts: list[list[int]], max_tokens: int, *, stream: bool
) -> float:
    """One request for each prompt (token ids), all at once; returns generated tokens a second.

    Raises:
        RuntimeError: an answer was an error, or did not bring `max_tokens` tokens.
    """
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        begin = time.perf_counter()
        counts = await asyncio.gather(
            *(_complete(session, model, prompt, max_tokens, stream) for prompt in prompts)
        )
        elapsed_s = time.perf_counter() - begin
    if set(counts) != {max_tokens}:
        raise RuntimeError(f"The answers have {sorted(set(counts))} tokens, not {max_tokens} each.")
    return sum(counts) / elapsed_s


async def _complete(
    session: aiohttp.ClientSession, model: str, prompt: list[int], max_tokens: int, stream: bool
) -> int:
    """Ask for one completion; returns how many tokens the server says it generated."""
    body: dict[str, Any] = {
        "model": model,
        "prompt": prompt,
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": stream,
        "logit_bias": {"2": -100},  # random weights must not end a text early
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    async with session.post("/v1/completions", json=body) as response:
        answer = await response.read()
        if response.status != 200:
            raise RuntimeError(f"The server answered {response.status}: {answer.decode()[:300]}")
    if stream:
        *_, last, done = [line for line in answer.splitlines() if line.startswith(b"data: ")]
        if done != b"data: [DONE]":
            raise RuntimeError("A stream ended without [DONE].")
        answer = last.removeprefix(b"data: ")
    return int(json.loads(answer)["usage"]["completion_tokens"])


async def wait_until_ready(url: str, path: str, process: asyncio.subprocess.Process, limit_s: float) -> None:
    """Wait for a server that was started to answer 200 on `path`.

    Raises:
        RuntimeError: it ended, or took longer than `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    async with aiohttp.ClientSession(url) as session:
        while process.returncode is None and time.monotonic() < deadline:
            try:
                async with session.get(path) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.2)
    raise RuntimeError(f"The server did not get ready within {limit_s:.0f} s, or ended; its words are above.")
