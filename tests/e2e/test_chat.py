"""Chats with a model that is given a template, through the gateway, with the `openai` package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from jsonschema import Draft202012Validator

from .conftest import KEY, MODEL, Stack, run_adapter, run_opt

TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
MESSAGES = [{"role": "user", "content": "Tell me of the sea."}]


@pytest.fixture(scope="module")
def chatting(free_port, tmp_path_factory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("chat")
    (folder / "chat.jinja").write_text(TEMPLATE)
    with (
        run_opt(free_port(), folder, "--chat-template", str(folder / "chat.jinja")) as opt,
        run_adapter(free_port(), folder, opt.url) as adapter,
    ):
        opt.wait_until_ready()
        adapter.wait_until_ready()
        yield Stack(opt, adapter)


@pytest.fixture(params=["model server", "gateway"])
def url(request, chatting: Stack) -> str:
    return chatting.opt.url if request.param == "model server" else chatting.adapter.url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_a_message_is_answered(client: openai.OpenAI):
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, max_completion_tokens=12, temperature=0
    )
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    # What the template makes of the messages is what the model has continued.
    prompt = "user: Tell me of the sea.\nassistant:"
    plain = client.completions.create(model=MODEL, prompt=prompt, max_tokens=12, temperature=0)
    assert plain.choices[0].text == choice.message.content
    assert plain.usage == answer.usage


def test_a_stream_says_the_same(client: openai.OpenAI):
    wanted: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": 24, "temperature": 0}
    whole = client.chat.completions.create(**wanted)
    chunks = list(
        client.chat.completions.create(**wanted, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] in ("stop", "length")
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage


def test_answers_are_what_the_document_says(url: str, chatting: Stack):
    document = httpx.get(f"{chatting.adapter.url}/openapi.json").json()

    def check(name: str, value: object) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(schema).validate(value)

    body = {
        "model": MODEL,
        "messages": MESSAGES,
        "max_tokens": 4,
        "logprobs": True,
        "top_logprobs": 2,
        "n": 2,
        # Without the end of the text, so that there are as many tokens as asked for.
        "logit_bias": {"2": -100},
    }
    check("CreateChatCompletionRequest", body)
    headers = {"authorization": f"Bearer {KEY}"}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60)
    check("CreateChatCompletionResponse", answer.json())
    assert len(answer.json()["choices"][0]["logprobs"]["content"]) == 4
    stream = httpx.post(
        f"{url}/v1/chat/completions", json=body | {"stream": True}, headers=headers, timeout=60
    )
    events = stream.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    for event in events[:-2]:
        check("ChatCompletionChunk", json.loads(event.removeprefix("data: ")))
    info = httpx.get(f"{url}/tokenizer_info", headers=headers).json()
    check("TokenizerInfo", info)
    assert info["chat_template"] == TEMPLATE


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(url: str, changes: dict[str, Any], param: str):
    answer = httpx.post(
        f"{url}/v1/chat/completions",
        json={"model": MODEL, "messages": MESSAGES} | changes,
        headers={"authorization": f"Bearer {KEY}"},
        timeout=60,
    )
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(param)


def test_a_model_without_a_template_says_so(stack: Stack):
    answers = [
        httpx.post(
            f"{server.url}/v1/chat/completions",
            json={"model": MODEL, "messages": MESSAGES},
            headers={"authorization": f"Bearer {KEY}"},
        )
        for server in (stack.opt, stack.adapter)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert "no chat template" in answers[0].json()["error"]["message"]
