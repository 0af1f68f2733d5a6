"""The whole program with its own engine and the bundled model, used through the openai package."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import openai
import pytest
from openaisle_opt.settings import BUNDLED_MODEL_NAME as MODEL
from opt.server.serving import serving


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a program that serves the bundled model."""
    with serving("--dtype", "float32") as program:
        yield program.url


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx.AsyncClient(trust_env=False, verify=False)
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", http_client=http) as client:
        yield client


async def test_models_are_listed_and_retrieved(client: openai.AsyncOpenAI) -> None:
    models = await client.models.list()
    assert [model.id for model in models.data] == [MODEL]
    assert (await client.models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError) as raised:
        await client.models.retrieve("other/model")
    assert raised.value.code == "model_not_found"
    assert raised.value.request_id


async def test_a_seed_gives_the_same_text_again(client: openai.AsyncOpenAI) -> None:
    async def texts(seed: int) -> list[str]:
        answer = await client.completions.create(
            model=MODEL, prompt="Once upon a time", max_tokens=12, n=2, seed=seed
        )
        assert answer.usage is not None
        return [choice.text for choice in answer.choices]

    first, again, other = await asyncio.gather(texts(1), texts(1), texts(2))
    assert first == again
    assert first != other
    assert first[0] != first[1]


async def test_scores_come_as_lm_eval_reads_them(client: openai.AsyncOpenAI) -> None:
    greedy = await client.completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=4, temperature=0, logprobs=1
    )
    assert greedy.choices[0].logprobs is not None
    tokens = await client.completions.create(
        model=MODEL, prompt="Once upon a time" + greedy.choices[0].text, max_tokens=0, echo=True, logprobs=1
    )
    scored = tokens.choices[0].logprobs
    assert scored is not None
    assert scored.tokens is not None
    assert scored.token_logprobs is not None
    assert scored.top_logprobs is not None
    assert (scored.token_logprobs[0], scored.top_logprobs[0]) == (None, None)
    for token, logprob, top in list(
        zip(scored.tokens, scored.token_logprobs, scored.top_logprobs, strict=True)
    )[-4:]:
        assert token == max(top, key=top.__getitem__)
        assert top[token] == logprob


async def test_the_engine_forgets_a_client_that_left(client: openai.AsyncOpenAI, url: str) -> None:
    stream = await client.completions.create(
        model=MODEL, prompt="a", max_tokens=2000, stream=True, logit_bias={"2": -100}
    )
    await anext(stream.__aiter__())
    await stream.close()
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as http:
        for _ in range(1000):
            metrics = (await http.get("/metrics")).text
            if f'vllm:num_requests_running{{model_name="{MODEL}"}} 0.0' in metrics:
                return
            await client.completions.create(model=MODEL, prompt="b", max_tokens=1)
    pytest.fail("the sequence still runs")


async def test_errors_have_the_classes_of_the_openai_package(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await client.completions.create(model=MODEL, prompt="a", max_tokens=100_000)
    assert (raised.value.code, raised.value.param) == ("context_length_exceeded", "max_tokens")
    with pytest.raises(openai.BadRequestError):
        await client.completions.create(model=MODEL, prompt="a", temperature=3, stream=True)


async def test_usage_of_a_stream_is_exact(client: openai.AsyncOpenAI) -> None:
    usage = None
    async for chunk in await client.completions.create(
        model=MODEL,
        prompt=["Once", "Twice upon"],
        n=2,
        max_tokens=5,
        stream=True,
        stream_options={"include_usage": True},
        logit_bias={"2": -100},
    ):
        usage = chunk.usage or usage
    assert usage is not None
    assert usage.completion_tokens == 20
    assert usage.total_tokens == usage.prompt_tokens + 20
    assert json.loads(usage.model_dump_json())["prompt_tokens"] > 0
