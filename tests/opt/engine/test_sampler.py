"""The sampler's functions, each by itself."""

from __future__ import annotations

import pytest
import torch
from openaisle_opt import sampler
from openaisle_opt.protocol import Sampling, Submit
from openaisle_opt.sequence import Request


def ones(count: int) -> torch.Tensor:
    return torch.ones(count)


def even_uniforms(count: int) -> torch.Tensor:
    return (torch.arange(count) + 0.5) / count


def shares(token_ids: torch.Tensor, vocab_size: int) -> torch.Tensor:
    return torch.bincount(token_ids, minlength=vocab_size) / token_ids.numel()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_samples_follow_the_softmax_at_their_temperature(temperature):
    logits = torch.randn(50, generator=torch.Generator().manual_seed(1)) * 2
    count = 20_000
    token_ids, finite = sampler.sample(
        logits.expand(count, -1), torch.full((count,), temperature), even_uniforms(count)
    )
    assert bool(finite.all())
    expected = torch.softmax(logits / temperature, -1)
    assert torch.allclose(shares(token_ids, 50), expected, atol=2 / count)


@pytest.mark.parametrize("vocab_size", [50, 2000])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999])
def test_a_nucleus_is_the_smallest_set_of_likeliest_tokens_that_reaches_its_mass(top_p, vocab_size):
    logits = torch.randn(vocab_size, generator=torch.Generator().manual_seed(2))
    count = 4000
    token_ids, finite = sampler.sample_nucleus(
        logits.expand(count, -1), ones(count), torch.full((count,), top_p), even_uniforms(count)
    )
    assert bool(finite.all())
    probabilities, order = torch.softmax(logits, -1).sort(descending=True)
    size = int((probabilities.cumsum(-1) < top_p).sum()) + 1
    expected = torch.zeros(vocab_size)
    expected[order[:size]] = probabilities[:size] / probabilities[:size].sum()
    assert torch.allclose(shares(token_ids, vocab_size), expected, atol=2 / count)


def test_a_row_draws_the_same_token_whatever_rows_are_beside_it():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(8, 3000, generator=generator) * torch.tensor([[0.1], [6.0]] * 4)
    uniforms = torch.rand(8, generator=generator)
    top_ps = torch.full((8,), 0.9)
    together, _ = sampler.sample_nucleus(logits, ones(8), top_ps, uniforms)
    alone = [
        sampler.sample_nucleus(logits[row : row + 1], ones(1), top_ps[:1], uniforms[row : row + 1])[0]
        for row in range(8)
    ]
    assert together.tolist() == torch.cat(alone).tolist()


def test_the_ends_of_the_random_range_draw_tokens_that_are_possible():
    logits = torch.full((2, 6), float("-inf"))
    logits[:, 2:4] = 0.0
    uniforms = torch.tensor([0.0, 1 - 2**-24])
    for token_ids, _ in (
        sampler.sample(logits, ones(2), uniforms),
        sampler.sample_nucleus(logits, ones(2), torch.full((2,), 0.99), uniforms),
    ):
        assert token_ids.tolist() == [2, 3]


def test_a_tiny_temperature_does_not_overflow():
    logits = torch.randn(4, 100, generator=torch.Generator().manual_seed(4)) * 1000
    temperatures = torch.full((4,), sampler.MIN_TEMPERATURE)
    token_ids, finite = sampler.sample(logits, temperatures, torch.full((4,), 0.5))
    assert bool(finite.all())
    assert token_ids.tolist() == logits.argmax(-1).tolist()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_rows_that_are_not_numbers_are_told_apart(bad):
    logits = torch.zeros(2, 300)
    logits[1, 7] = bad
    uniforms = torch.full((2,), 0.5)
    for _, finite in (
        sampler.greedy(logits),
        sampler.sample(logits, ones(2), uniforms),
        sampler.sample_nucleus(logits, ones(2), torch.full((2,), 0.5), uniforms),
    ):
        assert finite.tolist() == [True, False]


def test_adjusting_leaves_the_original_logits_alone():
    logits = torch.zeros(2, 5)
    rows, token_ids = torch.tensor([0, 1, 1]), torch.tensor([3, 3, 3])
    adjusted = sampler.adjust(logits, rows, token_ids, torch.tensor([1.0, 2.0, -0.5]))
    assert adjusted[:, 3].tolist() == [1.0, 1.5]
    assert not logits.any()


def test_random_numbers_are_even_and_depend_on_seed_sample_and_position():
    def draw(seed: int, sample: int, count: int) -> list[float]:
        request = Request(Submit("r", [1], Sampling(count, seed=seed)), 0)
        sequence = request.sequences[0]
        sequence.become_sample(sample)
        numbers = []
        for _ in range(count):
            numbers.append(sequence.uniform())
            sequence.append(0, 0.0)
        return numbers

    numbers = torch.tensor(draw(1, 0, 20_000))
    assert float(numbers.min()) >= 0
    assert float(numbers.max()) < 1
    histogram = torch.histc(numbers, bins=20, min=0, max=1)
    assert bool(((histogram - 1000).abs() < 150).all())
    assert abs(float(torch.corrcoef(torch.stack([numbers[:-1], numbers[1:]]))[0, 1])) < 0.03
    assert draw(1, 0, 5) == draw(1, 0, 5)
    assert len({tuple(draw(seed, sample, 3)) for seed in (-1, 0, 1, 2**63 - 1) for sample in range(3)}) == 12
