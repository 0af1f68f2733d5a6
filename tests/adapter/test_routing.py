"""Which replica gets a request."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from adapter.fake_engine import fake_engine
from openaisle_adapter.routing import Candidate, choose

NAMES = "abcd"


def ranking(affinity: str) -> list[str]:
    """All replicas in the order in which a prompt prefers them: each is asked once those before are gone."""
    left, order = list(NAMES), []
    while left:
        order.append(choose([Candidate(name, 0) for name in left], affinity))
        left.remove(order[-1])
    return order


FIRST, SECOND, THIRD, FOURTH = ranking("prompt")


@pytest.mark.parametrize(
    ("outstanding", "chosen"),
    [
        # All four in the order of the prompt's preference; 1.25 times the mean, rounded up, is the bound.
        ((0, 0, 0, 0), FIRST),
        ((1, 1, 1, 1), FIRST),  # bound 2
        ((1, 0, 0, 0), SECOND),  # bound 1
        ((1, 1, 0, 0), THIRD),  # bound 1
        ((1, 1, 1, 0), FIRST),  # bound 2
        ((2, 1, 1, 0), SECOND),  # bound 2
        ((3, 2, 2, 2), FIRST),  # bound 4
        ((4, 2, 2, 2), SECOND),  # bound 4
        ((5, 5, 4, 0), THIRD),  # bound 5
        ((9, 9, 9, 0), FOURTH),  # bound 9
        ((100, 0, 0, 0), SECOND),
        ((30, 24, 24, 24), FIRST),  # bound 33
        ((34, 24, 24, 24), SECOND),  # bound 34
    ],
)
def test_first_replica_with_room_is_chosen(outstanding, chosen):
    candidates = [
        Candidate(name, number)
        for name, number in zip((FIRST, SECOND, THIRD, FOURTH), outstanding, strict=True)
    ]
    assert choose(candidates, "prompt") == chosen
    assert choose(candidates[::-1], "prompt") == chosen  # whatever their order


def test_nobody_is_chosen_from_nobody():
    assert choose([], "prompt") is None


def test_only_replica_is_chosen_whatever_it_has_to_do():
    assert choose([Candidate("a", 1000)], "prompt") == choose([Candidate("a", 1000)], "") == "a"


def test_request_without_a_prompt_goes_where_least_is_to_do():
    assert choose([Candidate("a", 2), Candidate("b", 1), Candidate("c", 3)], "") == "b"


def test_different_beginnings_spread_over_idle_replicas():
    replicas = [Candidate(name, 0) for name in NAMES]
    chosen = [choose(replicas, f"prompt {number}") for number in range(400)]
    assert all(50 < chosen.count(name) < 150 for name in NAMES)


def test_replica_that_goes_moves_its_own_prompts_only():
    before = [Candidate(name, 0) for name in NAMES]
    after = before[:-1]
    for number in range(100):
        chosen = choose(before, f"prompt {number}")
        if chosen != NAMES[-1]:
            assert choose(after, f"prompt {number}") == chosen


@pytest.mark.parametrize("num_prompts", [1, 3, 1000])
def test_no_replica_gets_more_than_its_bounded_share(num_prompts):
    outstanding = Counter(dict.fromkeys(NAMES, 0))
    for number in range(1000):
        candidates = [Candidate(name, load) for name, load in outstanding.items()]
        outstanding[choose(candidates, f"prompt {number % num_prompts}")] += 1
        assert max(outstanding.values()) <= -(-1.25 * (number + 1) // len(NAMES))


async def test_running_adapter_keeps_prompts_together_and_spreads_them_under_load(adapter, eventually):
    """One after the other they meet one replica; all at once they meet every one."""
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(fake_engine()) for _ in range(3)]
        client = await stack.enter_async_context(adapter(*(engine.url for engine in engines)))
        body = {"model": "fake/model", "prompt": "Once upon a time"}
        for _ in range(6):
            assert (await client.post("/v1/completions", json=body)).status_code == 200
        assert sorted(len(engine.bodies) for engine in engines) == [0, 0, 6]

        gate = asyncio.Event()
        for engine in engines:
            engine.bodies.clear()
            engine.handler = _held_by(gate, engine)
        requests = [asyncio.create_task(client.post("/v1/completions", json=body)) for _ in range(30)]

        async def all_have_arrived() -> bool:
            return sum(len(engine.bodies) for engine in engines) == 30

        await eventually(all_have_arrived)
        gate.set()
        assert {response.status_code for response in await asyncio.gather(*requests)} == {200}
    loads = sorted(len(engine.bodies) for engine in engines)
    assert loads[0] >= 4
    assert loads[2] <= 13  # 1.25 times the mean of 10, rounded up


def _held_by(gate: asyncio.Event, engine):
    async def handler(request):
        await gate.wait()
        return await engine.complete(request)

    return handler
