"""The engine against transformers' OPTForCausalLM, both in float32."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.usefixtures("operations")

SHAPES = ["125m", "350m", "no-final-norm", "untied-gelu", "plain"]


@pytest.mark.parametrize("shape", SHAPES)
def test_greedy_tokens_equal_those_of_transformers(shape, make_peer, start_engine, prompts):
    peer = make_peer(shape)
    results = start_engine(peer.path).run_all(prompts, max_tokens=12)
    for prompt, result in zip(prompts, results, strict=True):
        assert result.token_ids() == peer.greedy(prompt, 12)


@pytest.mark.parametrize("shape", SHAPES)
def test_log_probabilities_of_the_prompt_equal_those_of_transformers(shape, make_peer, start_engine, prompts):
    peer = make_peer(shape)
    results = start_engine(peer.path).run_all(prompts, max_tokens=0, prompt_logprobs=3)
    for prompt, result in zip(prompts, results, strict=True):
        expected = torch.log_softmax(peer.logits(prompt), dim=-1)
        first, *entries = result.prompt.logprobs
        assert first is None
        assert len(entries) == len(prompt) - 1
        for position, entry in enumerate(entries):
            assert entry.logprob == pytest.approx(float(expected[position, prompt[position + 1]]), abs=1e-4)
            values, token_ids = expected[position].topk(3)
            assert entry.top_token_ids == token_ids.tolist()
            assert entry.top_logprobs == pytest.approx(values.tolist(), abs=1e-4)


def test_log_probabilities_of_generated_tokens_equal_those_of_transformers(peer, start_engine, prompts):
    results = start_engine(peer.path).run_all(prompts, max_tokens=8, logprobs=2)
    for prompt, result in zip(prompts, results, strict=True):
        expected = torch.log_softmax(peer.logits(prompt + result.token_ids()), dim=-1)[len(prompt) - 1 :]
        cumulative = 0.0
        for row, token in zip(expected, result.tokens[0], strict=False):
            assert token.logprobs.logprob == pytest.approx(float(row[token.token_id]), abs=1e-4)
            assert token.logprobs.top_token_ids == row.topk(2).indices.tolist()
            assert token.logprobs.logprob == token.logprobs.top_logprobs[0]
            cumulative += token.logprobs.logprob
            assert token.cumulative_logprob == pytest.approx(cumulative)
