"""The scheduler without torch: who runs, who waits, and that no block is ever lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from openaisle_opt.blocks import BlockPool
from openaisle_opt.protocol import Sampling, Submit
from openaisle_opt.scheduler import Batch, NeverRuns, Scheduler
from openaisle_opt.sequence import Request, Sequence

BLOCK_SIZE = 4


class Script:
    """A scheduler, and a model that is a rule: the next token depends on all tokens before.

    It also keeps what the cache would hold, and checks that each token sees its own past.
    """

    def __init__(self, *, num_blocks: int = 64, **limits: int | bool):
        values = {"max_num_seqs": 8, "max_num_batched_tokens": 16, "max_model_len": 64} | limits
        self.pool = BlockPool(num_blocks, BLOCK_SIZE)
        self.scheduler = Scheduler(self.pool, **values)
        self.contents: dict[tuple[int, int], tuple[int, ...]] = {}
        """What is in each place of a block: the tokens up to and including the one there."""
        self.results: dict[tuple[int, int], list[int]] = {}
        self.num_computed = 0
        self.num_requests = 0

    def submit(
        self, prompt: list[int], max_tokens: int = 4, num_samples: int = 1, **sampling: int
    ) -> Request:
        message = Submit(str(self.num_requests), prompt, Sampling(max_tokens, **sampling), num_samples)
        request = Request(message, self.num_requests)
        self.num_requests += 1
        self.scheduler.add(request)
        return request

    def step(self) -> Batch:
        batch = self.scheduler.schedule()
        sources = {
            target: [self.contents.get((source, at)) for at in range(BLOCK_SIZE)]
            for source, target in batch.copies
        }
        assert len(sources) == len(batch.copies), "a block is the target of two copies"
        for target, past in sources.items():
            for at, tokens in enumerate(past):
                self.contents[target, at] = tokens
        for chunk in batch.chunks:
            tokens = chunk.sequence.token_ids
            for position in range(chunk.start, chunk.start + chunk.num_tokens):
                place = (chunk.sequence.block_ids[position // BLOCK_SIZE], position % BLOCK_SIZE)
                self.contents[place] = tuple(tokens[: position + 1])
                self.num_computed += 1
        for chunk in batch.chunks:
            for position in range(chunk.start + chunk.num_tokens):
                place = (chunk.sequence.block_ids[position // BLOCK_SIZE], position % BLOCK_SIZE)
                assert self.contents[place] == tuple(chunk.sequence.token_ids[: position + 1])
        self.scheduler.advance(batch)
        for chunk in batch.chunks:
            self._append(chunk.sequence, chunk.samples, chunk.start + chunk.num_tokens)
        return batch

    def _append(self, sequence: Sequence, samples: list[int], end: int) -> None:
        request = sequence.request
        sequences = [sequence]
        if not request.prompt_done:
            if end < sequence.num_prompt_tokens:
                return
            sequences = self.scheduler.fork(sequence)
            if request.sampling.max_tokens == 0:
                self.drop(request)
                return
        for sequence, sample in zip(sequences, samples, strict=False):
            assert sequence.sample == sample
            sequence.append(next_token(sequence.token_ids, sample), 0.0)
            if sequence.num_generated_tokens == request.sampling.max_tokens:
                generated = sequence.token_ids[sequence.num_prompt_tokens :]
                self.results[request.number, sample] = generated
                request.wanted_samples.remove(sample)
                self.scheduler.finish(sequence)

    def drop(self, request: Request) -> None:
        for sequence in list(request.sequences):
            self.scheduler.finish(sequence)
        request.wanted_samples.clear()

    def finish(self) -> None:
        for _ in range(10_000):
            if not self.scheduler.has_work:
                break
            assert self.step().chunks, "there is work, but nothing runs"
        else:
            pytest.fail("the scheduler does not come to an end")
        assert self.pool.num_free == self.pool.num_blocks

    def check(self) -> None:
        """Every block is held as often as sequences name it, and running ones have what they need."""
        held = Counter(block for sequence in self.scheduler.running for block in sequence.block_ids)
        assert not any(sequence.block_ids for sequence in self.scheduler.waiting)
        assert self.pool.num_free == self.pool.num_blocks - len(held)
        for block_id in range(self.pool.num_blocks):
            assert self.pool.is_free(block_id) == (block_id not in held)
            assert self.pool.is_shared(block_id) == (held[block_id] > 1)
        assert len(self.scheduler.running) <= self.scheduler.max_num_seqs
        assert is_sorted(self.scheduler.running)
        assert is_sorted(self.scheduler.waiting)


def is_sorted(sequences: Iterable[Sequence]) -> bool:
    orders = [sequence.order for sequence in sequences]
    return orders == sorted(orders)


def next_token(token_ids: list[int], sample: int) -> int:
    return (sum(token_ids) * 31 + len(token_ids) + sample) % 97


def expected(prompt: list[int], max_tokens: int, sample: int = 0) -> list[int]:
    token_ids = list(prompt)
    for _ in range(max_tokens):
        token_ids.append(next_token(token_ids, sample))
    return token_ids[len(prompt) :]


@pytest.mark.parametrize("seed", range(60))
def test_random_requests_all_finish_with_the_right_tokens_and_no_block_is_lost(seed):
    chance = random.Random(seed)
    script = Script(
        num_blocks=chance.choice([16, 17, 24, 64]),
        max_num_seqs=chance.randint(1, 8),
        max_num_batched_tokens=chance.choice([1, 3, 16, 100]),
        prefix_caching=chance.random() < 0.7,
    )
    stems = [[chance.randrange(97) for _ in range(chance.randint(1, 30))] for _ in range(3)]
    requests: list[tuple[Request, int]] = []
    cancelled: set[tuple[int, int]] = set()
    for _ in range(chance.randint(10, 150)):
        if chance.random() < 0.4:
            stem = chance.choice(stems)
            prompt = stem[: chance.randint(1, len(stem))]
            prompt = prompt + [chance.randrange(97) for _ in range(chance.randint(0, 4))]
            num_samples = chance.choice([1, 1, 1, 2, 5, 12])
            scores = {"prompt_logprobs": 0} if chance.random() < 0.2 else {}
            request = script.submit(prompt, chance.randint(0, 25), num_samples, **scores)
            requests.append((request, num_samples))
        if requests and chance.random() < 0.1:
            request, num_samples = chance.choice(requests)
            cancelled |= {(request.number, sample) for sample in range(num_samples)}
            script.drop(request)
            script.check()
        script.step()
        script.check()
    script.finish()
    for request, num_samples in requests:
        max_tokens = request.sampling.max_tokens
        for sample in range(num_samples):
            result = script.results.get((request.number, sample))
            if result is None:
                assert max_tokens == 0 or (request.number, sample) in cancelled
            else:
                assert result == expected(request.prompt_token_ids, max_tokens, sample)


def test_generation_goes_on_while_a_long_prompt_is_computed():
    script = Script(max_num_batched_tokens=8)
    script.submit([1, 2], max_tokens=20)
    script.step()
    script.submit(list(range(40)))
    for _ in range(6):
        generating, prompt = script.step().chunks
        assert (generating.num_tokens, prompt.num_tokens) in ((1, 7), (1, 5))
    script.finish()


def test_a_long_prompt_leaves_room_for_a_short_one_behind_it():
    script = Script(max_num_batched_tokens=16)
    script.submit(list(range(60)))
    script.submit([1, 2, 3])
    first = script.step()
    assert [chunk.num_tokens for chunk in first.chunks] == [8, 3]
    script.finish()


def test_requests_start_in_the_order_in_which_they_came():
    script = Script(max_num_seqs=2)
    requests = [script.submit([number], max_tokens=3) for number in range(5)]
    started: list[Request] = []
    while script.scheduler.has_work:
        for chunk in script.step().chunks:
            if chunk.start == 0:
                started.append(chunk.sequence.request)
    assert started == requests


def test_a_known_prefix_is_not_computed_again():
    script = Script()
    prompt = list(range(13))
    script.submit(prompt, max_tokens=1)
    script.finish()
    again = script.submit(prompt, max_tokens=1)
    script.num_computed = 0
    script.finish()
    assert again.num_cached_tokens == 12
    assert script.num_computed == 1


def test_the_last_token_of_a_known_prompt_is_computed_for_its_logits():
    script = Script()
    prompt = list(range(12))
    for _ in range(2):
        request = script.submit(prompt, max_tokens=1)
        script.finish()
    assert request.num_cached_tokens == 8
    assert script.results[1, 0] == expected(prompt, 1)


def test_a_prompt_whose_log_probabilities_are_wanted_is_computed_whole():
    script = Script()
    for _ in range(2):
        request = script.submit(list(range(13)), max_tokens=1, prompt_logprobs=0)
        script.finish()
    assert request.num_cached_tokens == 0


def test_generated_tokens_are_found_again_as_a_prefix():
    script = Script()
    script.submit([1, 2, 3], max_tokens=10)
    script.finish()
    longer = script.submit([1, 2, 3, *script.results[0, 0], 5], max_tokens=1)
    script.finish()
    assert longer.num_cached_tokens == 12


def test_samples_share_the_blocks_of_their_prompt_until_they_part():
    script = Script(num_blocks=64)
    script.submit(list(range(10)), max_tokens=6, num_samples=4)
    script.step()
    assert script.pool.num_blocks - script.pool.num_free == 3
    batch = script.step()
    assert len(batch.copies) == 3, "the last to write keeps the shared block"
    assert script.pool.num_blocks - script.pool.num_free == 6
    script.finish()


def test_more_samples_than_places_run_one_after_the_other():
    script = Script(max_num_seqs=2)
    script.submit(list(range(10)), max_tokens=5, num_samples=7)
    script.finish()
    assert script.results == {(0, sample): expected(list(range(10)), 5, sample) for sample in range(7)}


def test_a_full_cache_makes_the_youngest_give_way_and_come_back():
    script = Script(num_blocks=16)
    prompts = [[number] * 15 for number in range(4)]
    for prompt in prompts:
        script.submit(prompt, max_tokens=30)
    script.finish()
    assert script.scheduler.num_preemptions > 0
    assert list(script.results) == [(number, 0) for number in range(4)]
    for number, prompt in enumerate(prompts):
        assert script.results[number, 0] == expected(prompt, 30)


def test_a_cancelled_request_frees_its_blocks_at_once():
    script = Script()
    request = script.submit(list(range(20)), num_samples=3)
    script.step()
    script.step()
    assert script.pool.num_free < script.pool.num_blocks
    script.drop(request)
    assert script.pool.num_free == script.pool.num_blocks
    assert not script.scheduler.has_work


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "sentence"),
    [
        ([], 4, "holds no token"),
        (list(range(60)), 5, "65 tokens, but the model's context holds 64"),
        (list(range(40)), 5, "12 blocks of the KV cache, which has only 10"),
    ],
)
def test_only_what_can_never_fit_is_refused(prompt, max_tokens, sentence):
    script = Script(num_blocks=10)
    with pytest.raises(NeverRuns, match=sentence):
        script.submit(prompt, max_tokens=max_tokens)
    assert not script.scheduler.has_work


def test_equal_tokens_in_another_place_have_another_hash():
    pool_script = Script()
    pool_script.submit([7] * 8, max_tokens=1)
    pool_script.finish()
    other = pool_script.submit([1, 2, 3, 4, 7, 7, 7, 7, 7], max_tokens=1)
    pool_script.finish()
    assert other.num_cached_tokens == 0


def test_the_least_recently_used_prefix_is_forgotten_first():
    script = Script(num_blocks=16)
    for start in (0, 100):
        script.submit(list(range(start, start + 24)), max_tokens=1)
        script.finish()
    script.submit(list(range(200, 220)), max_tokens=1)  # takes free blocks, then those of the first
    script.finish()
    second = script.submit(list(range(100, 124)), max_tokens=1)
    script.finish()
    assert second.num_cached_tokens == 20
