"""What a key may do: models, requests and tokens a minute, requests at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import time

import openai
import pytest
import yaml
from adapter.conftest import KEY
from adapter.fake_engine import fake_engine, stream_of
from aiohttp import web
from openaisle_adapter.errors import RateLimited, StartError
from openaisle_adapter.estimate import estimate_usage
from openaisle_adapter.limits import Limits
from openaisle_adapter.limits_file import KeyLimits, LimitsFile, LimitsTable
from openaisle_adapter.settings import StaticBackend
from openaisle_adapter.usage import Meter, Usage

BODY = {"model": "fake/model", "prompt": "abcdefg", "max_tokens": 8}  # 2 tokens and 8


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until the test moves it."""

    class Clock:
        now = 1_000_000.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def limits_file(tmp_path):
    """A factory: the path of a file with these limits for the tests' key."""

    def write(**limits):
        path = tmp_path / "limits.yaml"
        path.write_text(yaml.safe_dump({"keys": {"api-key": limits}}))
        return path

    return write


def ratelimit(response) -> dict[str, str]:
    """The headers by their names' ends, such as `remaining-tokens`."""
    prefix = "x-ratelimit-"
    return {
        name.removeprefix(prefix): value
        for name, value in response.headers.items()
        if name.startswith(prefix)
    }


def answer_of(prompt_tokens: int, completion_tokens: int):
    async def handler(_):
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        }
        return web.json_response({"object": "text_completion", "choices": [], "usage": usage})

    return handler


async def test_key_without_limits_gets_no_headers_of_them(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        assert ratelimit(await client.post("/v1/completions", json=BODY)) == {}


async def test_requests_are_counted_and_the_headers_tell(adapter, limits_file, clock):
    path = limits_file(requestsPerMinute=2)
    async with fake_engine() as engine, adapter(engine.url, limits_file=path) as client:
        before = await client.get("/v1/models")
        first = await client.post("/v1/completions", json=BODY)
        clock.now += 20
        second = await client.post("/v1/completions", json=BODY)
        refused = await client.post("/v1/completions", json=BODY)
        still_listed = await client.get("/v1/models")
        metrics = (await client.get("/metrics")).text
        clock.now += 41
        after = await client.post("/v1/completions", json=BODY)
    assert ratelimit(before) == {"limit-requests": "2", "remaining-requests": "2", "reset-requests": "0.000s"}
    assert ratelimit(first) == {"limit-requests": "2", "remaining-requests": "1", "reset-requests": "60.000s"}
    assert ratelimit(second) == {
        "limit-requests": "2",
        "remaining-requests": "0",
        "reset-requests": "40.000s",
    }
    assert [first.status_code, second.status_code, refused.status_code] == [200, 200, 429]
    assert refused.headers["retry-after"] == "40"
    assert ratelimit(refused) == ratelimit(second)
    error = refused.json()["error"]
    assert (error["type"], error["param"], error["code"]) == (
        "rate_limit_exceeded",
        None,
        "rate_limit_exceeded",
    )
    assert "limit 2, used 2, requested 1. Please try again in 40s" in error["message"]
    assert still_listed.status_code == 200
    assert 'openaisle_adapter_key_refusals_total{key="api-key",limit="requests"} 1.0' in metrics
    assert after.status_code == 200
    assert ratelimit(after)["remaining-requests"] == "1"
    assert len(engine.bodies) == 3


async def test_tokens_are_estimated_before_and_settled_after(adapter, limits_file, clock):
    path = limits_file(tokensPerMinute=30)
    async with (
        fake_engine(handler=answer_of(3, 4)) as engine,
        adapter(engine.url, limits_file=path) as client,
    ):
        first = await client.post("/v1/completions", json=BODY)
        second = await client.post("/v1/completions", json=BODY)
        metrics = (await client.get("/metrics")).text
        refused = await client.post("/v1/completions", json={**BODY, "max_tokens": 20})
        third = await client.post("/v1/completions", json=BODY)
    assert ratelimit(first) == {"limit-tokens": "30", "remaining-tokens": "20", "reset-tokens": "60.000s"}
    assert ratelimit(second)["remaining-tokens"] == "13"  # 30 - 7 that were used - 10 that may be
    assert refused.status_code == 429
    assert "tokens per minute: limit 30, used 14, requested 22" in refused.json()["error"]["message"]
    assert third.status_code == 200  # what was refused has cost nothing
    assert 'openaisle_adapter_key_tokens_total{key="api-key",kind="prompt",model="fake/model"} 6.0' in metrics
    assert (
        'openaisle_adapter_key_tokens_total{key="api-key",kind="completion",model="fake/model"} 8.0'
        in metrics
    )


async def test_answer_that_costs_more_than_was_thought_is_charged_in_full(adapter, limits_file, clock):
    path = limits_file(tokensPerMinute=30)
    handler = answer_of(25, 8)
    async with fake_engine(handler=handler) as engine, adapter(engine.url, limits_file=path) as client:
        assert (await client.post("/v1/completions", json=BODY)).status_code == 200
        assert ratelimit(await client.get("/v1/models"))["remaining-tokens"] == "0"
        assert (await client.post("/v1/completions", json=BODY)).status_code == 429


async def test_request_that_no_minute_can_hold_is_not_to_be_tried_again(adapter, limits_file):
    path = limits_file(tokensPerMinute=30)
    async with fake_engine() as engine, adapter(engine.url, limits_file=path) as client:
        response = await client.post("/v1/completions", json={**BODY, "max_tokens": 29})
    assert response.status_code == 429
    assert response.headers["x-should-retry"] == "false"
    assert "its limit is 30 tokens a minute, and this may cost 31" in response.json()["error"]["message"]


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_request_that_the_engine_refuses_costs_no_tokens(adapter, limits_file, status):
    async def refuse(_):
        return web.json_response({"error": "mine"}, status=status)

    path = limits_file(tokensPerMinute=30)
    async with fake_engine(handler=refuse) as engine, adapter(engine.url, limits_file=path) as client:
        assert (await client.post("/v1/completions", json=BODY)).status_code == status
        assert ratelimit(await client.get("/v1/models"))["remaining-tokens"] == "30"


async def test_request_that_nobody_can_answer_costs_no_tokens(adapter, limits_file, free_port):
    path = limits_file(tokensPerMinute=30)
    async with adapter(f"http://127.0.0.1:{free_port()}", limits_file=path) as client:
        assert (await client.post("/v1/completions", json=BODY)).status_code == 503
        assert ratelimit(await client.get("/v1/models"))["remaining-tokens"] == "30"


@pytest.mark.parametrize(
    ("events", "used"),
    [
        ([b'data: {"choices": [1]}\n\n', b'data: {"choices": [2]}\n\n', b"data: [DONE]\n\n"], 2 + 2),
        ([b'data: {"text":" a"}\n\n', b'data: {"text":""}\n\n', b"data: [DONE]\n\n"], 2 + 1),
        ([b'data: {"choices": [1], "usage": null}\n\n', b'data: {"usage": {"prompt_tokens": 5}}\n\n'], 5),
    ],
)
async def test_stream_is_charged_by_its_usage_or_else_by_its_events(adapter, limits_file, events, used):
    path = limits_file(tokensPerMinute=30)
    async with (
        fake_engine(handler=stream_of(*events)) as engine,
        adapter(engine.url, limits_file=path) as client,
    ):
        response = await client.post("/v1/completions", json=BODY)
        left = ratelimit(await client.get("/v1/models"))["remaining-tokens"]
    assert response.content == b"".join(events)
    assert left == str(30 - used)


async def test_requests_at_a_time_are_counted_until_they_are_done(adapter, limits_file):
    gate = asyncio.Event()
    handler = stream_of(b"data: 1\n\n", b"data: [DONE]\n\n", gate=gate)
    path = limits_file(concurrentRequests=1)
    async with fake_engine(handler=handler) as engine, adapter(engine.url, limits_file=path) as client:
        async with client.stream("POST", "/v1/completions", json=BODY) as response:
            chunks = response.aiter_raw()
            await anext(chunks)
            refused = await client.post("/v1/completions", json=BODY)
            gate.set()
            async for _ in chunks:
                pass
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert (await client.post("/v1/completions", json=BODY)).status_code == 200


async def test_client_that_leaves_makes_room_for_the_next(adapter, limits_file, eventually):
    handler = stream_of(b"data: 1\n\n", b"data: 2\n\n", gate=asyncio.Event())
    path = limits_file(concurrentRequests=1)
    async with fake_engine(handler=handler) as engine, adapter(engine.url, limits_file=path) as client:
        async with client.stream("POST", "/v1/completions", json=BODY) as response:
            await anext(response.aiter_raw())
        engine.handler = engine.complete

        async def there_is_room() -> bool:
            return (await client.post("/v1/completions", json=BODY)).status_code == 200

        await eventually(there_is_room)


async def test_key_uses_its_models_and_sees_no_others(adapter, limits_file):
    path = limits_file(models=["org/one"])
    async with (
        fake_engine("org/one") as one,
        fake_engine("org/two") as two,
        adapter(
            StaticBackend(one.url, "org/one"), StaticBackend(two.url, "org/two"), limits_file=path
        ) as client,
    ):
        listed = (await client.get("/v1/models")).json()["data"]
        assert (await client.post("/v1/completions", json={"model": "org/one"})).status_code == 200
        for response in (
            await client.post("/v1/completions", json={"model": "org/two"}),
            await client.post("/v1/engines/org%2Ftwo/completions", json={"model": "org/one"}),
            await client.post("/tokenize", json={"model": "org/two"}),
            await client.get("/v1/models/org/two"),
        ):
            error = response.json()["error"]
            assert response.status_code == 403
            assert error["message"] == "The key `api-key` does not have access to the model `org/two`."
            assert (error["type"], error["param"], error["code"]) == (
                "invalid_request_error",
                "model",
                "model_not_found",
            )
        assert (await client.get("/v1/models/org/three")).status_code == 404
    assert [model["id"] for model in listed] == ["org/one"]
    assert two.bodies == []


async def test_openai_client_raises_its_own_errors(adapter, limits_file):
    path = limits_file(requestsPerMinute=1, models=["fake/model"])
    async with (
        fake_engine() as engine,
        fake_engine("org/two") as two,
        adapter(engine.url, StaticBackend(two.url, "org/two"), limits_file=path) as client,
        openai.AsyncOpenAI(base_url=f"{client.base_url}/v1", api_key=KEY, max_retries=0) as api,
    ):
        with pytest.raises(openai.PermissionDeniedError):
            await api.completions.create(model="org/two", prompt="x")
        raw = await api.completions.with_raw_response.create(model="fake/model", prompt="x")
        assert raw.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as raised:
            await api.completions.create(model="fake/model", prompt="x")
    assert raised.value.code == "rate_limit_exceeded"


async def test_running_adapter_takes_up_new_limits(adapter, limits_file, eventually):
    path = limits_file()
    async with fake_engine() as engine, adapter(engine.url, limits_file=path) as client:
        assert ratelimit(await client.get("/v1/models")) == {}
        limits_file(requestsPerMinute=7)

        async def they_count() -> bool:
            return ratelimit(await client.get("/v1/models")).get("limit-requests") == "7"

        await eventually(they_count)


def test_limits_that_become_unusable_leave_the_old_ones(limits_file, caplog):
    path = limits_file(models=["a"])
    limits = Limits(LimitsFile(path))
    path.write_text("keys: [")
    with caplog.at_level(logging.INFO):
        limits.reload()
        limits.reload()
    [record] = caplog.records  # said once, not every second
    assert str(path) in record.getMessage()
    assert limits.allowed("api-key", ["a", "b"]) == ["a"]


def test_what_a_key_leaves_out_is_as_in_the_default(tmp_path):
    path = tmp_path / "limits.yaml"
    path.write_text(
        "default: {requestsPerMinute: 5, tokensPerMinute: 100, models: [a]}\n"
        "keys:\n  alice: {tokensPerMinute: 0, models: []}\n  bob:\n"
    )
    table = LimitsFile(path).read()
    assert table.of("alice") == KeyLimits(requests_per_minute=5)
    assert table.of("bob") == table.of("anyone") == KeyLimits(5, 100, 0, ("a",))


@pytest.mark.parametrize("text", ["", "{}", "keys:", "default: {}\nkeys: {}"])
def test_empty_file_limits_nothing(tmp_path, text):
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    assert LimitsFile(path).read() == LimitsTable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "not YAML"),
        ("- a", "the file has to be a mapping"),
        ("limits: {}", "`limits` is neither `default` nor `keys`"),
        ("keys: [alice]", "keys has to be a mapping"),
        ("keys: {alice: 3}", "keys.alice has to be a mapping"),
        ("keys: {alice: {rpm: 3}}", "keys.alice.rpm is not known"),
        ("default: {requestsPerMinute: -1}", "default.requestsPerMinute is -1"),
        ("default: {tokensPerMinute: many}", "default.tokensPerMinute is 'many'"),
        ("default: {concurrentRequests: true}", "default.concurrentRequests is True"),
        ("default: {models: a}", "default.models has to be a list"),
    ],
)
def test_file_that_cannot_be_used_is_named_with_the_place(tmp_path, text, said):
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    with pytest.raises(StartError) as raised:
        LimitsFile(path).read()
    assert said in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StartError, match="--limits-file"):
        LimitsFile(tmp_path / "absent").read()


async def test_request_that_outlives_its_minute_gives_nothing_to_the_next(limits_file, clock):
    limits = Limits(LimitsFile(limits_file(tokensPerMinute=100)))
    async with limits.admit("api-key", 90) as admission:
        clock.now += 61
        async with limits.admit("api-key", 90):
            pass
        admission.usage = Usage(1, 0)
    assert (await limits.headers("api-key"))["x-ratelimit-remaining-tokens"] == "10"
    with pytest.raises(RateLimited):
        async with limits.admit("api-key", 90):
            pass


async def test_keys_do_not_share_their_limits(tmp_path):
    path = tmp_path / "limits.yaml"
    path.write_text("default: {requestsPerMinute: 1, tokensPerMinute: 1}")
    limits = Limits(LimitsFile(path))
    for key in ("alice", "bob"):
        async with limits.admit(key, 1):
            pass
        with pytest.raises(RateLimited):
            async with limits.admit(key, 0):
                pass


@pytest.mark.parametrize(
    ("fields", "prompt_tokens", "completion_tokens"),
    [
        ({}, 1, 16),
        ({"prompt": "x" * 40}, 11, 16),
        ({"prompt": ["x" * 40, "y"], "max_tokens": 5}, 12, 10),
        ({"prompt": [1, 2, 3], "max_tokens": 0}, 3, 0),
        ({"prompt": [[1, 2, 3], [4]], "n": 2, "best_of": 3, "max_tokens": 1}, 4, 6),
        ({"prompt": None, "n": None, "best_of": None, "max_tokens": None}, 1, 16),
        ({"messages": [{"role": "user", "content": "x" * 40}], "max_completion_tokens": 9}, 11, 9),
        ({"messages": [{"role": "user", "content": "x"}]}, 1, 256),
        ({"prompt": {"a": 1}, "n": "many", "max_tokens": -3, "best_of": True}, 1, 16),
    ],
)
def test_cost_is_estimated_from_prompts_and_answers(fields, prompt_tokens, completion_tokens):
    assert estimate_usage(fields) == Usage(prompt_tokens, completion_tokens)


@pytest.mark.parametrize(
    "text",
    [
        {"text": 'says "usage": {"prompt_tokens": 99}'},
        {"text": '{"usage": {"prompt_tokens": 99}}'},
        {"text": '\\", "usage": {"prompt_tokens": 99}'},
        {"text": "x" * 100_000},
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_usage_is_read_from_pieces_and_never_from_a_text(text, size):
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "details": {"usage": None}}
    for fields in ({**text, "usage": usage}, {**text}):
        meter = Meter()
        body = json.dumps(fields).encode()
        for start in range(0, len(body), size):
            meter.watch(body[start : start + size])
        assert meter.usage(0) == (Usage(3, 4) if "usage" in fields else None)
