"""When a model's round is made."""

import asyncio

import pytest
from openaisle_operator.errors import ApiError
from openaisle_operator.loops import Loops


class Rounds:
    """Counts the rounds of each model; `answers` are what they return or raise, then True."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.names = []
        self.made = asyncio.Event()

    async def reconcile(self, name):
        self.names.append(name)
        self.made.set()
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def wait_for(self, count):
        while len(self.names) < count:
            self.made.clear()
            await asyncio.wait_for(self.made.wait(), 5)


@pytest.fixture
async def loops():
    """loops(rounds, ...) -> Loops that end with the test."""
    made = []

    def make(rounds, **settings):
        made.append(Loops(rounds.reconcile, **{"settle_s": 0.01, "backoff_s": (0.01,), **settings}))
        return made[-1]

    yield make
    for each in made:
        await each.stop()


async def test_changes_that_come_together_are_one_round(loops):
    rounds = Rounds()
    followed = loops(rounds)
    for _ in range(10):
        followed.wake("a")
    await rounds.wait_for(1)
    await asyncio.sleep(0.05)
    assert rounds.names == ["a"]


async def test_a_change_during_a_round_makes_another(loops):
    rounds = Rounds()
    followed = loops(rounds)
    followed.wake("a")
    await rounds.wait_for(1)
    followed.wake("a")
    await rounds.wait_for(2)


async def test_a_failed_round_is_made_again(loops, caplog):
    rounds = Rounds(ApiError(503, "The API server is away."), ValueError("a mistake of ours"))
    loops(rounds).wake("a")
    await rounds.wait_for(3)
    assert "The API server is away. Trying again in 0.01 s." in caplog.text
    assert caplog.text.count("Traceback") == 1


async def test_looks_now_and_then_without_a_change(loops):
    rounds = Rounds()
    loops(rounds, resync_s=0.02).wake("a")
    await rounds.wait_for(3)


async def test_a_model_that_is_gone_is_followed_no_more(loops):
    rounds = Rounds(False)
    followed = loops(rounds, resync_s=0.02)
    followed.wake("a")
    await rounds.wait_for(1)
    await asyncio.sleep(0.1)
    assert rounds.names == ["a"]
    assert len(followed) == 0
    followed.wake("a")
    await rounds.wait_for(2)


async def test_what_models_share_wakes_all(loops):
    rounds = Rounds()
    followed = loops(rounds)
    followed.wake("a")
    followed.wake("b")
    await rounds.wait_for(2)
    followed.wake_all()
    await rounds.wait_for(4)
    assert sorted(rounds.names) == ["a", "a", "b", "b"]
