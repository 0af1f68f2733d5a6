"""What a client gets from POST /v1/chat/completions, with a template and without one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openaisle_opt.chat_template import ChatTemplate
from opt.server.conftest import MODEL, Served

TEMPLATE = """
{%- for message in messages %}
{{ message.role }}: {{ message.content }}{{ eos_token }}
{% endfor %}
{%- if add_generation_prompt %}assistant:{% endif %}
"""
SPECIAL_TOKENS = {"bos_token": "</s>", "eos_token": "</s>"}
MESSAGES = [{"role": "user", "content": "hello"}]
RENDERED = "user: hello</s>\nassistant:"
PATH = "/v1/chat/completions"


def _template(source: str = TEMPLATE) -> ChatTemplate:
    return ChatTemplate(source, SPECIAL_TOKENS, "test.jinja")


@pytest.fixture
def chatting(served: Served) -> Served:
    """An app whose model has a chat template."""
    served.context.chat_template = _template()
    return served


async def _chat(served: Served, **body: Any) -> dict[str, Any]:
    response = await served.post(PATH, **{"messages": MESSAGES, **body})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def _stream(served: Served, **body: Any) -> list[dict[str, Any]]:
    response = await served.post(PATH, **{"messages": MESSAGES, "stream": True, **body})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream"
    *events, end = response.text.removesuffix("\n\n").split("\n\n")
    assert end == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def test_an_answer_has_openais_shape(chatting: Served) -> None:
    chatting.says("hello world")
    answer = await _chat(chatting, max_tokens=2)
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", MODEL)
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello world", "refusal": None},
            "logprobs": None,
            "finish_reason": "length",
        }
    ]
    num_prompt_tokens = 1 + len(chatting.ids(RENDERED))
    assert answer["usage"] == {
        "prompt_tokens": num_prompt_tokens,
        "completion_tokens": 2,
        "total_tokens": num_prompt_tokens + 2,
    }


async def test_the_template_makes_the_prompt(chatting: Served) -> None:
    await _chat(chatting)
    assert (await chatting.engine.submitted.get()).prompt_token_ids == [2, *chatting.ids(RENDERED)]


async def test_a_document_begins_once(chatting: Served) -> None:
    chatting.context.chat_template = _template("{{ bos_token }}" + TEMPLATE.strip())
    await _chat(chatting)
    token_ids = (await chatting.engine.submitted.get()).prompt_token_ids
    assert token_ids[0] == 2
    assert token_ids[1] != 2


async def test_without_a_limit_the_answer_may_fill_the_context(chatting: Served) -> None:
    await _chat(chatting)
    submit = await chatting.engine.submitted.get()
    assert submit.sampling.max_tokens == 64 - len(submit.prompt_token_ids)
    await _chat(chatting, max_completion_tokens=3)
    assert (await chatting.engine.submitted.get()).sampling.max_tokens == 3


async def test_roles_parts_and_names_reach_the_template(chatting: Served) -> None:
    chatting.context.chat_template = _template(
        "{% for m in messages %}[{{ m.role }} {{ m.name }} {{ m.content }}]{% endfor %}"
    )
    messages = [
        {"role": "developer", "content": "a"},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": text} for text in "bc"]},
        {"role": "assistant", "content": "d", "refusal": None, "tool_calls": None, "annotations": []},
    ]
    await _chat(chatting, messages=messages)
    rendered = "[system  a][user ann b\nc][assistant  d]"
    assert (await chatting.engine.submitted.get()).prompt_token_ids == [2, *chatting.ids(rendered)]


async def test_options_mean_what_they_mean_for_completions(chatting: Served) -> None:
    chatting.says("a!b", "c")
    options = {"temperature": 0, "top_p": 0.5, "seed": 3, "presence_penalty": 1, "logit_bias": {"5": 1.5}}
    options |= {"n": 2, "stop": ["!", "1", "2", "3", "4"], "user": "ann", "metadata": {"a": "b"}}
    answer = await _chat(chatting, **options)
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["a", "c"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    sampling = (await chatting.engine.submitted.get()).sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.0, 0.5, 3)
    assert (sampling.presence_penalty, sampling.logit_bias) == (1.0, {5: 1.5})


async def test_logprobs_are_a_list_of_the_tokens_that_are_shown(chatting: Served) -> None:
    chatting.says("é")
    chatting.engine.top_token_ids = chatting.ids("ab")
    answer = await _chat(chatting, logprobs=True, top_logprobs=2)
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "é"
    first, second = choice["logprobs"]["content"]
    assert (first["token"], first["bytes"]) == (r"bytes:\xc3", [0xC3])
    assert (second["token"], second["bytes"]) == (r"bytes:\xa9", [0xA9])
    assert [(top["token"], top["bytes"]) for top in first["top_logprobs"]] == [("a", [97]), ("b", [98])]
    assert choice["logprobs"]["refusal"] is None
    answer = await _chat(chatting, logprobs=True)
    assert [token["top_logprobs"] for token in answer["choices"][0]["logprobs"]["content"]] == [[], []]


async def test_a_stream_begins_with_the_role_and_ends_with_a_reason(chatting: Served) -> None:
    chatting.says("hello world")
    chunks = await _stream(chatting, max_tokens=2, n=2, stream_options={"include_usage": True})
    assert {(chunk["object"], chunk["id"], chunk["created"]) for chunk in chunks} == {
        ("chat.completion.chunk", chunks[0]["id"], chunks[0]["created"])
    }
    for index in range(2):
        choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
        begin, *texts, end = choices
        assert begin["delta"] == {"role": "assistant", "content": ""}
        assert "".join(choice["delta"]["content"] for choice in texts) == "hello world"
        assert all(set(choice["delta"]) == {"content"} for choice in texts)
        assert [choice["finish_reason"] for choice in choices[:-1]] == [None] * (len(choices) - 1)
        assert (end["delta"], end["finish_reason"]) == ({}, "length")
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 4)


@pytest.mark.parametrize("stop", [None, "wor", "ld"])
async def test_joined_chunks_are_the_whole_answer(chatting: Served, stop: str | None) -> None:
    chatting.says("é😀hello world")
    body = {"stop": stop, "logprobs": True, "top_logprobs": 1, "max_tokens": 20}
    (whole,) = (await _chat(chatting, **body))["choices"]
    choices = [chunk["choices"][0] for chunk in await _stream(chatting, **body)]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == whole["message"]["content"]
    tokens = [token for choice in choices if choice["logprobs"] for token in choice["logprobs"]["content"]]
    assert tokens == whole["logprobs"]["content"]
    shown = b"".join(bytes(token["bytes"]) for token in tokens).decode()
    assert shown.startswith(whole["message"]["content"])


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("messages", {"messages": None}),
        ("messages", {"messages": []}),
        ("messages", {"messages": "hello"}),
        ("messages[0]", {"messages": ["hello"]}),
        ("messages[0].role", {"messages": [{"content": "a"}]}),
        ("messages[1].role", {"messages": [*MESSAGES, {"role": "tool", "content": "a"}]}),
        ("messages[0].role", {"messages": [{"role": ["user"], "content": "a"}]}),
        ("messages[0].content", {"messages": [{"role": "user"}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": 5}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": []}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": ["a"]}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}),
        ("messages[0].name", {"messages": [{"role": "user", "content": "a", "name": 5}]}),
        ("messages[0]", {"messages": [{"role": "assistant", "content": "a", "tool_calls": [{}]}]}),
        ("max_tokens", {"max_tokens": 0}),
        ("max_tokens", {"max_tokens": 60}),
        ("max_completion_tokens", {"max_completion_tokens": "5"}),
        ("max_completion_tokens", {"max_tokens": 5, "max_completion_tokens": 5}),
        ("logprobs", {"logprobs": 1}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
        ("top_logprobs", {"top_logprobs": 1}),
        ("tools", {"tools": [{"type": "function"}]}),
        ("response_format", {"response_format": {"type": "json_object"}}),
        ("modalities", {"modalities": ["audio"]}),
        ("prompt", {"prompt": "hello"}),
        ("temperature", {"temperature": 3}),
        ("logit_bias", {"logit_bias": {"300": 1}}),
        ("stream_options", {"stream_options": {}, "stream": False}),
    ],
)
async def test_a_bad_value_is_refused_and_named(chatting: Served, param: str, body: dict[str, Any]) -> None:
    for stream in (False, True) if "stream" not in body else (False,):
        response = await chatting.post(PATH, **{"messages": MESSAGES, "stream": stream, **body})
        assert response.status_code == 400, response.text
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert chatting.engine.submitted.empty()


async def test_half_a_surrogate_pair_is_refused(chatting: Served) -> None:
    body = f'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "\\ud83d"}}]}}'
    response = await chatting.client.post(PATH, content=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "messages[0].content")


async def test_a_chat_that_is_too_long_is_told_in_numbers(chatting: Served) -> None:
    response = await chatting.post(PATH, messages=[{"role": "user", "content": "a" * 70}])
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert error["message"].startswith("This model's maximum context length is 64 tokens, however you")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ raise_exception('Roles must alternate') }}", "Roles must alternate"),
        ("{{ messages[0].nothing.more }}", "no attribute 'nothing'"),
        ("{{ messages[0] + 1 }}", "TypeError"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
    ],
)
async def test_messages_that_the_template_does_not_take_are_refused(
    chatting: Served, source: str, said: str
) -> None:
    chatting.context.chat_template = _template(source)
    response = await chatting.post(PATH, messages=MESSAGES)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "messages")
    assert said in error["message"]


async def test_a_model_without_a_template_says_so_plainly(served: Served) -> None:
    for stream in (False, True):
        response = await served.post(PATH, messages=MESSAGES, stream=stream)
        assert response.status_code == 404
        assert response.json()["error"] == {
            "message": f"The model `{MODEL}` has no chat template: it continues a text and does not chat. "
            "Send a `prompt` to /v1/completions.",
            "type": "invalid_request_error",
            "param": None,
            "code": "no_chat_template",
        }
    response = await served.client.post(PATH, json={"model": "other", "messages": MESSAGES})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_chat_becomes_the_tokens_that_the_model_is_given(chatting: Served) -> None:
    tokenized = (await chatting.post("/tokenize", messages=MESSAGES)).json()
    await _chat(chatting)
    assert tokenized["tokens"] == (await chatting.engine.submitted.get()).prompt_token_ids
    bare = (await chatting.post("/tokenize", messages=MESSAGES, add_generation_prompt=False)).json()
    assert bare["tokens"] == [2, *chatting.ids("user: hello</s>\n")]
    assert (await chatting.client.get("/tokenizer_info")).json()["chat_template"] == TEMPLATE
    chatting.context.chat_template = None
    assert (await chatting.post("/tokenize", messages=MESSAGES)).status_code == 404
