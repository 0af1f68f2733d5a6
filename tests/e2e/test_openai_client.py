"""The adapter and the model server through the `openai` package."""

from __future__ import annotations

import asyncio
import math

import openai
import pytest

from .conftest import KEY, MODEL

PROMPT = "Once upon a time"


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == [MODEL]


def test_a_model_is_retrieved_though_its_id_holds_a_slash(client):
    assert client.models.retrieve(MODEL).id == MODEL


def test_a_completion_has_text_and_usage(client):
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=12)
    assert answer.object == "text_completion"
    assert answer.model == MODEL
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage.completion_tokens <= 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_says_the_same_as_the_whole_answer(client):
    arguments = {"model": MODEL, "prompt": PROMPT, "max_tokens": 24, "temperature": 0}
    whole = client.completions.create(**arguments).choices[0]
    chunks = list(client.completions.create(**arguments, stream=True, stream_options={"include_usage": True}))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in choices) == whole.text
    assert choices[-1].finish_reason == whole.finish_reason
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage.completion_tokens <= 24


def test_tokens_arrive_one_after_the_other(client):
    stream = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=16, stream=True)
    assert sum(1 for chunk in stream if chunk.choices[0].text) > 4


def test_log_probabilities_of_the_prompt_can_be_scored(client):
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=0, echo=True, logprobs=2)
    choice = answer.choices[0]
    assert choice.text == PROMPT
    assert choice.logprobs.token_logprobs[0] is None
    assert all(math.isfinite(value) and value <= 0 for value in choice.logprobs.token_logprobs[1:])
    assert all(len(top) in (2, 3) for top in choice.logprobs.top_logprobs[1:])
    assert answer.usage.completion_tokens == 0


def test_several_prompts_and_samples_are_numbered_in_order(client):
    answer = client.completions.create(model=MODEL, prompt=[PROMPT, "The cat"], n=2, max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


def test_a_seed_gives_the_same_text_again(client):
    def sample() -> str:
        arguments = {"model": MODEL, "prompt": PROMPT, "max_tokens": 16, "seed": 7, "temperature": 0.9}
        return client.completions.create(**arguments).choices[0].text

    assert sample() == sample()


def test_a_stop_string_ends_the_text_before_it(client):
    arguments = {"model": MODEL, "prompt": PROMPT, "max_tokens": 40, "temperature": 0}
    text = client.completions.create(**arguments).choices[0].text
    stop = text.split()[3]
    choice = client.completions.create(**arguments, stop=[stop]).choices[0]
    assert choice.text == text[: text.index(stop)]
    assert choice.finish_reason == "stop"


async def test_many_users_are_served_at_once(stack):
    async with openai.AsyncOpenAI(base_url=f"{stack.adapter.url}/v1", api_key=KEY, max_retries=0) as client:
        answers = await asyncio.gather(
            *(client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=8) for _ in range(16))
        )
    assert all(answer.choices[0].text for answer in answers)


@pytest.mark.parametrize(
    ("arguments", "error", "code", "param"),
    [
        ({"model": "no/such"}, openai.NotFoundError, "model_not_found", "model"),
        ({"max_tokens": -1}, openai.BadRequestError, None, "max_tokens"),
        ({"temperature": 3}, openai.BadRequestError, None, "temperature"),
        ({"suffix": "the end"}, openai.BadRequestError, None, "suffix"),
        ({"max_tokens": 5000}, openai.BadRequestError, "context_length_exceeded", "max_tokens"),
        (
            {"max_tokens": 5000, "stream": True},
            openai.BadRequestError,
            "context_length_exceeded",
            "max_tokens",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_text(client, arguments, error, code, param):
    with pytest.raises(error) as caught:
        client.completions.create(**{"model": MODEL, "prompt": PROMPT, "max_tokens": 8} | arguments)
    assert caught.value.code == code
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_a_wrong_key_is_refused_and_not_repeated(stack):
    with (
        openai.OpenAI(
            base_url=f"{stack.adapter.url}/v1", api_key="sk-wrong-0123456789", max_retries=0
        ) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong-0123456789" not in str(caught.value)
