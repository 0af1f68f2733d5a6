"""Random requests of all kinds in an engine that is far too small for them, each beside itself alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from openaisle_opt.protocol import Cancel

BLOCK_BYTES = 2 * 3 * 64 * 2 * 16  # keys and values of 16 tokens in bfloat16
NUM_BLOCKS = 8  # one sequence of 128 tokens, and no more


def random_request(chance: random.Random) -> dict[str, Any]:
    """A prompt and parameters; each is drawn with a seed, so that its tokens are settled."""
    stem = [5 + index % 190 for index in range(chance.choice([0, 16, 40]))]  # some prompts begin alike
    prompt = stem + [chance.randrange(5, 200) for _ in range(chance.randint(1, 45))]
    sampling = {
        "temperature": chance.choice([0.0, 0.0, 0.7, 1.3]),
        "top_p": chance.choice([1.0, 1.0, 0.6]),
        "seed": chance.randrange(1000),
        "max_tokens": chance.choice([0, 1, 5, 20, 40]),
        "logprobs": chance.choice([None, 0, 3]),
        "prompt_logprobs": chance.choice([None, None, 2]),
        "presence_penalty": chance.choice([0.0, 0.0, 0.8]),
        "frequency_penalty": chance.choice([0.0, 0.0, -0.5]),
        "logit_bias": chance.choice([{}, {}, {7: 4.0, 11: -100.0}]),
    }
    return {"prompt": prompt, "num_samples": chance.choice([1, 1, 1, 2, 4]), **sampling}


def outcome(result: Any, sample: int) -> list[Any]:
    """All that a client sees of a sample, to the last bit."""
    tokens = result.tokens.get(sample, [])
    return [(token.token_id, token.cumulative_logprob, token.logprobs) for token in tokens]


@pytest.mark.parametrize("max_num_batched_tokens", [5, 64])
@pytest.mark.parametrize("seed", range(3))
def test_each_request_is_the_same_to_the_last_bit_as_alone(seed, max_num_batched_tokens, peer, start_engine):
    chance = random.Random(seed)
    alone = start_engine(peer.path, dtype="bfloat16", prefix_caching=False)
    tight = start_engine(
        peer.path,
        dtype="bfloat16",
        kv_cache_gib=(NUM_BLOCKS + 0.5) * BLOCK_BYTES / 1024**3,
        max_num_batched_tokens=max_num_batched_tokens,
        max_num_seqs=chance.choice([3, 16]),
    )
    assert tight.ready.num_blocks == NUM_BLOCKS
    requests = {f"request-{index}": random_request(chance) for index in range(25)}
    cancelled = set(chance.sample(sorted(requests), 5))
    for name, request in requests.items():
        tight.submit(name, **request)
        for _ in range(chance.randint(0, 6)):
            tight.step()
        if name in cancelled:
            tight.engine.cancel(Cancel(name))
    tight.finish()

    assert tight.engine.stats().num_preemptions > 0
    for name, request in requests.items():
        result, expected = tight.results[name], alone.run(**request)
        assert result.failure is None
        for sample in range(request["num_samples"]):
            tokens, expected_tokens = outcome(result, sample), outcome(expected, sample)
            if name in cancelled:
                expected_tokens = expected_tokens[: len(tokens)]
            assert tokens == expected_tokens
        if name not in cancelled:
            assert result.prompt.logprobs == expected.prompt.logprobs
