"""Which replica gets a request."""

from __future__ import annotations

from openaisle_adapter.routing import Candidate, choose


def test_nobody_is_chosen_from_nobody():
    assert choose([], "prompt") is None


def test_replica_with_least_outstanding_work_is_chosen():
    assert choose([Candidate("a", 2), Candidate("b", 1), Candidate("c", 3)], "prompt") == "b"


def test_same_beginning_goes_to_the_same_replica_whatever_the_order():
    replicas = [Candidate(name, 0) for name in "abcde"]
    assert choose(replicas, "prompt") == choose(replicas[::-1], "prompt")


def test_different_beginnings_spread_over_idle_replicas():
    replicas = [Candidate(name, 0) for name in "abcd"]
    chosen = [choose(replicas, f"prompt {number}") for number in range(400)]
    assert all(50 < chosen.count(name) < 150 for name in "abcd")


def test_replica_that_goes_moves_its_own_prompts_only():
    before = [Candidate(name, 0) for name in "abcd"]
    after = before[:-1]
    for number in range(100):
        chosen = choose(before, f"prompt {number}")
        if chosen != "d":
            assert choose(after, f"prompt {number}") == chosen
