"""Answers of the real model server, through the real adapter, beside the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.e2e.conftest import KEY, MODEL, Stack

BODY = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 4, "seed": 1}


@pytest.fixture
def http(stack: Stack) -> Any:
    with httpx.Client(
        base_url=stack.adapter.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60, trust_env=False
    ) as client:
        yield client


@pytest.fixture
def document(http: httpx.Client) -> dict[str, Any]:
    described: dict[str, Any] = http.get("/openapi.json").json()
    return described


def check(document: dict[str, Any], path: str, response: httpx.Response, status: int) -> None:
    """The status is the one expected, and the body is what the document says of it."""
    assert response.status_code == status, response.text
    described = document["paths"][path][response.request.method.lower()]["responses"][str(status)]
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    kind = response.headers["content-type"].split(";")[0]
    validate(document, described["content"][kind]["schema"], response.json())


def validate(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"logprobs": 5},
        {"logprobs": 0},
        {"echo": True, "max_tokens": 0, "logprobs": 2},
        {"n": 2, "best_of": 3, "stop": ["\n", "."], "logit_bias": {"5": -100}},
        {"prompt": ["One", "Two"]},
        {"prompt": [[5, 6], [7]]},
        {"temperature": None, "user": "someone", "stream": False},
    ],
)
def test_completions(http: httpx.Client, document: dict[str, Any], changes: dict[str, Any]) -> None:
    body = BODY | changes
    validate(document, {"$ref": "#/components/schemas/CreateCompletionRequest"}, body)
    check(document, "/v1/completions", http.post("/v1/completions", json=body), 200)


def test_the_examples_of_the_document_work(http: httpx.Client, document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/completions"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        assert http.post("/v1/completions", json=example["value"]).status_code == 200


def test_chunks_of_a_stream(http: httpx.Client, document: dict[str, Any]) -> None:
    body = BODY | {"stream": True, "stream_options": {"include_usage": True}, "logprobs": 1}
    events = http.post("/v1/completions", json=body).text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    for event in events[:-2]:
        chunk = json.loads(event.removeprefix("data: "))
        validate(document, {"$ref": "#/components/schemas/CreateCompletionResponse"}, chunk)


def test_the_oldest_form(http: httpx.Client, document: dict[str, Any]) -> None:
    response = http.post(f"/v1/engines/{MODEL}/completions", json={"prompt": "Once", "max_tokens": 2})
    check(document, "/v1/engines/{model}/completions", response, 200)


def test_models(http: httpx.Client, document: dict[str, Any]) -> None:
    check(document, "/v1/models", http.get("/v1/models"), 200)
    check(document, "/v1/models/{model}", http.get(f"/v1/models/{MODEL}"), 200)
    check(document, "/v1/models/{model}", http.get("/v1/models/none"), 404)


def test_tokens(http: httpx.Client, document: dict[str, Any]) -> None:
    response = http.post("/tokenize", json={"prompt": "Once upon a time"})
    check(document, "/tokenize", response, 200)
    response = http.post("/detokenize", json={"tokens": response.json()["tokens"]})
    check(document, "/detokenize", response, 200)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (json.dumps(BODY | {"temperature": 3}).encode(), "application/json", 400),
        (json.dumps(BODY | {"max_tokens": 5000}).encode(), "application/json", 400),
        (json.dumps(BODY | {"surprise": 1}).encode(), "application/json", 400),
        (json.dumps(BODY | {"suffix": "end"}).encode(), "application/json", 400),
        (json.dumps(BODY).encode(), "text/xml", 415),
    ],
)
def test_refusals(
    http: httpx.Client, document: dict[str, Any], content: bytes, kind: str, status: int
) -> None:
    response = http.post("/v1/completions", content=content, headers={"content-type": kind})
    check(document, "/v1/completions", response, status)
