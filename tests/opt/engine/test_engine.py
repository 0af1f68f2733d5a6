"""What a request brings, whatever else runs and however its tokens are computed."""

from __future__ import annotations

import math

import pytest
import torch
from openaisle_opt import runner
from openaisle_opt.protocol import Cancel
from openaisle_opt.runner import Runner


@pytest.fixture(scope="module")
def served(peer, start_engine):
    return start_engine(peer.path)


@pytest.mark.usefixtures("operations")
@pytest.mark.parametrize("max_num_batched_tokens", [1, 7, 16, 40])
def test_prompts_in_chunks_give_the_same_tokens_and_log_probabilities(
    max_num_batched_tokens, peer, start_engine, prompts
):
    chunked = start_engine(peer.path, max_num_batched_tokens=max_num_batched_tokens)
    results = chunked.run_all(prompts, max_tokens=6, prompt_logprobs=2)
    for prompt, result in zip(prompts, results, strict=True):
        assert result.token_ids() == peer.greedy(prompt, 6)
        expected = torch.log_softmax(peer.logits(prompt), dim=-1)
        entries = result.prompt.logprobs
        assert len(entries) == len(prompt)
        for position, entry in enumerate(entries[1:]):
            assert entry.logprob == pytest.approx(float(expected[position, prompt[position + 1]]), abs=1e-4)


@pytest.mark.usefixtures("operations")
@pytest.mark.parametrize("prefix_caching", [True, False])
def test_a_shared_prefix_changes_no_token(prefix_caching, peer, start_engine, prompts):
    engine = start_engine(peer.path, prefix_caching=prefix_caching)
    stem = prompts[-1][:70]
    for ending in ([], [5], [5, 6, 7], prompts[7]):
        result = engine.run(stem + ending, max_tokens=6)
        assert result.token_ids() == peer.greedy(stem + ending, 6)
    assert (result.prompt.num_cached_tokens > 0) == prefix_caching
    scored = engine.run(stem, max_tokens=0, prompt_logprobs=0)
    assert len(scored.prompt.logprobs) == len(stem)


@pytest.mark.usefixtures("operations")
def test_preempted_sequences_end_with_the_same_tokens(peer, start_engine, prompts):
    roomy = start_engine(peer.path)
    block_bytes = 2 * 3 * 64 * 4 * 16
    tight = start_engine(peer.path, kv_cache_gib=10 * block_bytes / 1024**3)
    for sampling in ({}, {"temperature": 1.0, "seed": 5}, {"temperature": 0.8, "top_p": 0.7, "seed": 6}):
        expected = roomy.run_all(prompts, max_tokens=30, num_samples=2, **sampling)
        results = tight.run_all(prompts, max_tokens=30, num_samples=2, **sampling)
        for one, other in zip(expected, results, strict=True):
            assert one.token_ids(0) == other.token_ids(0)
            assert one.token_ids(1) == other.token_ids(1)
    assert tight.engine.stats().num_preemptions > 0
    assert roomy.engine.stats().num_preemptions == 0


def test_a_preempted_prompt_still_gets_each_log_probability_once(peer, start_engine, prompts):
    block_bytes = 2 * 3 * 64 * 4 * 16
    tight = start_engine(peer.path, kv_cache_gib=9.5 * block_bytes / 1024**3, max_num_batched_tokens=4)
    for index in range(2):
        tight.submit(f"old-{index}", prompts[3], max_tokens=60)
    tight.step()
    tight.submit("scored", prompts[9], prompt_logprobs=0, max_tokens=60)
    while tight.engine.stats().num_preemptions == 0:
        tight.step()
    assert tight.results["scored"].prompt is None, "it gave way in the middle of its prompt"
    tight.finish()
    entries = tight.results["scored"].prompt.logprobs
    expected = torch.log_softmax(peer.logits(prompts[9]), dim=-1)
    assert [entry.logprob for entry in entries[1:]] == pytest.approx(
        expected[torch.arange(len(prompts[9]) - 1), prompts[9][1:]].tolist(), abs=1e-4
    )


def test_samples_are_computed_from_one_prompt(served, peer, prompts):
    before = served.engine.stats().prompt_tokens
    result = served.run(prompts[8], num_samples=5, temperature=1.0, seed=1, max_tokens=10)
    assert served.engine.stats().prompt_tokens - before <= len(prompts[8])
    texts = {tuple(result.token_ids(sample)) for sample in range(5)}
    assert len(texts) == 5
    greedy = served.run(prompts[8], num_samples=3, max_tokens=10)
    assert [greedy.token_ids(sample) for sample in range(3)] == [peer.greedy(prompts[8], 10)] * 3


def test_hundreds_of_samples_are_drawn_a_few_at_a_time_and_are_the_same(served, prompts, monkeypatch):
    parameters = {"num_samples": 40, "temperature": 1.0, "seed": 3, "max_tokens": 3, "logprobs": 1}
    at_once = served.run_all(prompts[:3], **parameters)
    draw, num_rows = Runner._draw, []

    def counting_rows(self, logits, drawers):
        num_rows.append(len(logits))
        return draw(self, logits, drawers)

    monkeypatch.setattr(Runner, "_draw", counting_rows)
    monkeypatch.setattr(runner, "_LOGITS_ELEMENTS", 7 * 211)
    in_parts = served.run_all(prompts[:3], **parameters)
    assert max(num_rows) == 7
    for one, other in zip(at_once, in_parts, strict=True):
        assert one.tokens.keys() == other.tokens.keys() == set(range(40))
        for sample, tokens in one.tokens.items():
            assert [t.token_id for t in tokens] == other.token_ids(sample)
            assert [t.logprobs for t in tokens] == [t.logprobs for t in other.tokens[sample]]


def test_a_seed_gives_the_same_tokens_whatever_else_runs(served, prompts):
    parameters = {"temperature": 1.0, "seed": 42, "max_tokens": 20, "num_samples": 2}
    alone = served.run(prompts[6], **parameters)
    served.submit("again", prompts[6], **parameters)
    served.run_all(prompts, temperature=1.3, max_tokens=25)
    again = served.results["again"]
    assert [again.token_ids(sample) for sample in (0, 1)] == [alone.token_ids(sample) for sample in (0, 1)]
    other = served.run(prompts[6], **(parameters | {"seed": 43}))
    assert other.token_ids() != alone.token_ids()


def test_without_a_seed_tokens_differ(served, prompts):
    first, second = (served.run(prompts[6], temperature=1.0, max_tokens=20) for _ in range(2))
    assert first.token_ids() != second.token_ids()


def test_max_tokens_0_only_computes_the_prompt(served, prompts):
    result = served.run(prompts[5], max_tokens=0)
    assert result.prompt.logprobs is None
    assert not result.tokens
    assert result.failure is None


def test_the_end_of_sequence_token_ends_a_sample(served, prompts):
    favour = {2: 100.0}
    stopped = served.run(prompts[3], logit_bias=favour, ignore_eos=False, max_tokens=5)
    assert [(token.token_id, token.finish_reason) for token in stopped.tokens[0]] == [(2, "stop")]
    ignored = served.run(prompts[3], logit_bias=favour, ignore_eos=True, max_tokens=3)
    assert [token.finish_reason for token in ignored.tokens[0]] == [None, None, "length"]


def test_bias_forces_and_bans_tokens(served, peer, prompts):
    likeliest = peer.greedy(prompts[4], 1)[0]
    assert served.run(prompts[4], logit_bias={9: 100.0}, max_tokens=4).token_ids() == [9] * 4
    assert served.run(prompts[4], logit_bias={likeliest: -100.0}, max_tokens=1).token_ids() != [likeliest]


def test_penalties_count_generated_tokens_only(served, peer, prompts):
    prompt = prompts[9]
    for presence, frequency in ((2.0, 0.0), (0.0, 1.5), (-2.0, 0.5)):
        expected: list[int] = []
        for _ in range(12):
            logits = peer.logits(prompt + expected)[-1].clone()
            for token_id in set(expected):
                logits[token_id] -= presence + frequency * expected.count(token_id)
            expected.append(int(logits.argmax()))
        result = served.run(prompt, presence_penalty=presence, frequency_penalty=frequency, max_tokens=12)
        assert result.token_ids() == expected


def test_log_probabilities_are_those_before_bias_penalties_and_temperature(served, peer, prompts):
    result = served.run(
        prompts[5],
        temperature=0.5,
        top_p=0.5,
        seed=3,
        presence_penalty=1.0,
        logit_bias={7: 3.0},
        logprobs=4,
        max_tokens=10,
    )
    expected = torch.log_softmax(peer.logits(prompts[5] + result.token_ids()), dim=-1)
    for row, token in zip(expected[len(prompts[5]) - 1 :], result.tokens[0], strict=False):
        assert token.logprobs.logprob == pytest.approx(float(row[token.token_id]), abs=1e-4)
        assert token.logprobs.top_logprobs == pytest.approx(row.topk(4).values.tolist(), abs=1e-4)


def test_the_chosen_token_has_the_same_float_among_the_likeliest(served, prompts):
    result = served.run(prompts[2], temperature=1.0, logprobs=5, max_tokens=40)
    seen = 0
    for token in result.tokens[0]:
        entry = token.logprobs
        if token.token_id in entry.top_token_ids:
            seen += 1
            assert entry.top_logprobs[entry.top_token_ids.index(token.token_id)] == entry.logprob
    assert seen > 5


def test_requests_of_all_kinds_share_a_batch(served, peer, prompts):
    served.submit("greedy", prompts[0], max_tokens=5)
    served.submit("plain", prompts[1], temperature=1.0, seed=1, max_tokens=5)
    served.submit("nucleus", prompts[2], temperature=0.7, top_p=0.5, seed=1, logprobs=1, max_tokens=5)
    served.submit("zero", prompts[3], temperature=1.0, top_p=0.0, logprobs=0, max_tokens=5)
    served.submit("scored", prompts[4], prompt_logprobs=1, max_tokens=0)
    served.submit("biased", prompts[5], logit_bias={3: 100.0}, num_samples=2, max_tokens=5)
    served.finish()
    results = served.results
    assert results["greedy"].token_ids() == peer.greedy(prompts[0], 5)
    assert results["zero"].token_ids() == peer.greedy(prompts[3], 5)
    assert [token.logprobs.top_token_ids for token in results["zero"].tokens[0]] == [[]] * 5
    assert [len(token.logprobs.top_token_ids) for token in results["nucleus"].tokens[0]] == [1] * 5
    assert results["plain"].tokens[0][0].logprobs is None
    assert results["biased"].token_ids(1) == [3] * 5
    assert len(results["scored"].prompt.logprobs) == len(prompts[4])


def test_a_cancelled_request_frees_its_blocks_at_once_and_says_nothing_more(served, prompts):
    served.submit("gone", prompts[8], num_samples=2, max_tokens=60)
    served.step()
    served.step()
    num_tokens = len(served.results["gone"].tokens[0])
    served.engine.cancel(Cancel("gone"))
    stats = served.engine.stats()
    assert stats.num_free_blocks == stats.num_blocks
    served.finish()
    assert len(served.results["gone"].tokens[0]) == num_tokens


@pytest.mark.parametrize("num_steps", [0, 1, 3])
def test_one_sample_can_be_cancelled_while_the_others_go_on(num_steps, served, prompts):
    parameters = {"num_samples": 3, "temperature": 1.0, "seed": 4, "max_tokens": 12}
    whole = served.run(prompts[8], **parameters)
    served.submit(f"cut-{num_steps}", prompts[8], **parameters)
    for _ in range(num_steps):
        served.step()
    served.engine.cancel(Cancel(f"cut-{num_steps}", 0))
    served.engine.cancel(Cancel(f"cut-{num_steps}", 0))
    served.finish()
    result = served.results[f"cut-{num_steps}"]
    assert len(result.tokens.get(0, [])) == num_steps
    assert [result.token_ids(sample) for sample in (1, 2)] == [whole.token_ids(1), whole.token_ids(2)]


def test_unknown_and_ended_requests_can_be_cancelled(served, prompts):
    served.run(prompts[0], max_tokens=1)
    served.engine.cancel(Cancel("run-0"))
    served.engine.cancel(Cancel("never", 3))
    assert not served.engine.has_work


def test_a_request_that_can_never_run_fails_and_the_others_do_not(served, prompts):
    served.submit("fits", prompts[0], max_tokens=2)
    served.submit("too-long", [5] * 100, max_tokens=100)
    served.submit("empty", [], max_tokens=2)
    served.submit("unknown", [5, 211], max_tokens=2)
    served.submit("unknown-bias", [5], max_tokens=2, logit_bias={-1: 1.0})
    served.finish()
    assert "Token 211 is not in" in served.results["unknown"].failure.message
    assert "Token -1 is not in" in served.results["unknown-bias"].failure.message
    assert "context holds 128" in served.results["too-long"].failure.message
    assert "no token" in served.results["empty"].failure.message
    assert len(served.results["fits"].token_ids()) == 2


def test_an_error_in_a_step_fails_its_requests_and_the_loop_goes_on(served, prompts, monkeypatch):
    def break_once(*_):
        monkeypatch.undo()
        raise MemoryError("no memory for 3 GiB")

    monkeypatch.setattr(served.engine._runner, "run", break_once)
    served.submit("hit", prompts[5], num_samples=2)
    served.step()
    served.finish()
    assert "no memory for 3 GiB" in served.results["hit"].failure.message
    assert served.run(prompts[5], max_tokens=3).failure is None


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.5}])
def test_logits_that_are_not_numbers_fail_only_their_request(sampling, served, peer, prompts, monkeypatch):
    logits = served.engine._runner.model.logits

    def with_nan(hidden):
        values = logits(hidden)
        values[-1, 100] = math.nan
        return values

    served.submit("healthy", prompts[1], max_tokens=4)
    served.submit("broken", prompts[2], max_tokens=4, **sampling)
    served.step()
    assert len(served.results["broken"].token_ids()) == 1
    monkeypatch.setattr(served.engine._runner.model, "logits", with_nan)
    served.step()
    monkeypatch.undo()
    served.finish()
    assert "not a number" in served.results["broken"].failure.message
    assert served.results["healthy"].token_ids() == peer.greedy(prompts[1], 4)


def test_events_tell_how_long_a_request_waited_and_what_was_counted(peer, start_engine, prompts):
    engine = start_engine(peer.path, max_num_seqs=1)
    engine.run_all([prompts[4], prompts[4]], max_tokens=3)
    first, second = engine.results.values()
    assert 0 <= first.prompt.queue_seconds <= second.prompt.queue_seconds
    stats = engine.engine.stats()
    assert stats.generated_tokens == 6
    assert stats.prompt_tokens + stats.cached_prompt_tokens == 2 * len(prompts[4])
