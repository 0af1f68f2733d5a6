"""Clients that write to the socket what they like: the program stays up, and its memory comes back."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fakes.hard_times import MAX_BODY_BYTES, Target, endure
from openaisle_opt.settings import BUNDLED_MODEL_NAME as MODEL
from opt.server.serving import serving


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with serving("--dtype", "float32", "--max-body-bytes", str(MAX_BODY_BYTES)) as program:
        yield Target(program.url, program.pid, MODEL)


async def test_the_program_stays_up_and_its_memory_comes_back(target: Target) -> None:
    async with httpx.AsyncClient(base_url=target.url, timeout=60, trust_env=False) as client:

        async def is_idle() -> bool:
            metrics = (await client.get("/metrics")).text
            return all(
                f'vllm:num_requests_{state}{{model_name="{MODEL}"}} 0.0' in metrics
                for state in ("running", "waiting")
            )

        await endure(target, client, is_idle)
