"""The statuses of the API, its streams and its model ids through the Ingress, by plain HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import threading
import time
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import MODEL, CommandFailed, Namespace, wait_for
from tests.e2e.audit.tier import PROMPT, Answer, Tier, basic, body

HOST = "statuses.example.org"
KEYS = {"alice": "sk-alice-0123456789", "bob": "sk-bob-0123456789", "eve": "sk-eve-0123456789"}
LIMIT = 3
ABSENT = "openaisle/absent"
SMALL = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
VALUES = {
    "auth": {
        "keys": KEYS,
        "limits": {"keys": {"bob": {"requestsPerMinute": LIMIT}, "eve": {"models": [ABSENT]}}},
    },
    "adapter": {"waitSeconds": 1, "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}},
    "demo": {"enabled": False},
    "ingress": {"host": HOST},
    "models": [
        {
            "name": "tiny-opt",
            "model": MODEL,
            "resources": SMALL,
            "extraArgs": ["--request-timeout-s", "5", "--max-num-seqs", "16", "--max-waiting", "4"],
        },
        # A model whose pod stays Pending, as where no GPU of its family is there.
        {
            "name": "absent",
            "model": MODEL,
            "servedModelName": ABSENT,
            "resources": SMALL,
            "nodeSelector": {"example.org/nowhere": "true"},
        },
    ],
}
JSON = {"Content-Type": "application/json"}
LONG = {"max_tokens": 2000, "n": 16, "temperature": 1, "logit_bias": {"2": -100}}


@pytest.fixture(scope="module")
def installed(new_namespace, ingress_url) -> Iterator[tuple[Namespace, Tier]]:
    namespace = new_namespace()
    namespace.install(values=VALUES)
    tier = Tier("ingress", ingress_url, KEYS["alice"], HOST)
    try:
        wait_for("the first completion", lambda: tier.post(body()).status == 200, timeout_s=180)
        yield namespace, tier
    finally:
        namespace.helm("uninstall", "openaisle", "--wait")


@pytest.fixture(scope="module")
def tier(installed: tuple[Namespace, Tier]) -> Tier:
    return installed[1]


def of(tier: Tier, name: str) -> Tier:
    """The same way in, with the key of another user."""
    return dataclasses.replace(tier, key=KEYS[name])


@pytest.mark.parametrize(
    ("status", "method", "path", "content", "headers", "code"),
    [
        (400, "POST", "/v1/completions", b"{", {}, None),
        (400, "POST", "/v1/completions", json.dumps(body(n=0)).encode(), {}, None),
        (
            400,
            "POST",
            "/v1/completions",
            json.dumps(body(max_tokens=9999)).encode(),
            {},
            "context_length_exceeded",
        ),
        (400, "POST", "/v1/completions", json.dumps(body(n=0, stream=True)).encode(), {}, None),
        (401, "GET", "/v1/models", None, {"Authorization": ""}, None),
        (401, "GET", "/v1/models", None, {"Authorization": "Bearer sk-wrong-0123456789"}, "invalid_api_key"),
        (401, "POST", "/v1/completions", b"{", {"Authorization": ""}, None),
        (404, "POST", "/v1/completions", json.dumps(body(model="none")).encode(), {}, "model_not_found"),
        (404, "GET", "/v1/models/no%2Fsuch", None, {}, "model_not_found"),
        (404, "GET", "/v1/nothing", None, {}, "unknown_url"),
        (
            404,
            "POST",
            "/v1/chat/completions",
            json.dumps({"model": MODEL, "messages": []}).encode(),
            {},
            "no_chat_template",
        ),
        (405, "GET", "/v1/completions", None, {}, "method_not_allowed"),
        (405, "DELETE", f"/v1/models/{MODEL}", None, {}, "method_not_allowed"),
        (413, "POST", "/v1/completions", b" " * (4 * 1024 * 1024 + 1), {}, None),
        (415, "POST", "/v1/completions", json.dumps(body()).encode(), {"Content-Type": "text/xml"}, None),
    ],
)
def test_a_mistake_is_refused(
    tier: Tier, status: int, method: str, path: str, content: bytes | None, headers: dict[str, str], code: str
):
    answer = tier.send(method, path, content, JSON | {"X-Request-ID": "mine-1"} | headers)
    error = answer.error(status)
    assert error["type"] == "invalid_request_error"
    assert error["code"] == code
    assert answer.headers.get_all("x-request-id") == ["mine-1"]
    if status == 405:
        assert answer.headers["allow"]
    if status == 401:
        assert "basic" not in answer.headers["www-authenticate"].lower()


def test_403_for_a_model_that_is_not_for_this_key(tier: Tier):
    error = of(tier, "eve").post(body()).error(403)
    assert error["param"] == "model"
    assert tier.post(body()).status == 200


def test_429_for_a_key_that_has_used_up_its_minute(tier: Tier):
    bob = of(tier, "bob")
    answers = [bob.post(body()) for _ in range(LIMIT + 1)]
    assert [answer.status for answer in answers] == [200] * LIMIT + [429]
    refused = answers[-1]
    assert refused.error(429)["type"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {str(LIMIT)}
    assert tier.post(body()).status == 200, "the other keys go on"


def test_503_for_a_model_that_has_no_ready_pod(tier: Tier):
    answer = tier.post(body(model=ABSENT))
    assert answer.error(503)["type"] == "server_error"
    assert int(answer.headers["retry-after"]) > 0
    ids = [model["id"] for model in tier.send("GET", "/v1/models").json()["data"]]
    assert sorted(ids) == [ABSENT, MODEL]


def test_504_for_an_answer_that_takes_too_long(tier: Tier):
    assert tier.post(body(**LONG)).error(504)["type"] == "server_error"


@pytest.mark.parametrize("slash", ["/", "%2F", "%2f"])
def test_a_model_is_found_with_its_slash_raw_or_encoded(tier: Tier, slash: str):
    name = MODEL.replace("/", slash)
    answer = tier.send("GET", f"/v1/models/{name}")
    assert (answer.status, answer.json()["id"]) == (200, MODEL)
    oldest = tier.post({"prompt": PROMPT, "max_tokens": 2}, f"/v1/engines/{name}/completions")
    assert (oldest.status, oldest.json()["model"]) == (200, MODEL)


def test_the_routes_of_the_tokenizer(tier: Tier):
    tokens = tier.post({"model": MODEL, "prompt": PROMPT}, "/tokenize").json()["tokens"]
    assert tokens[0] == 2
    back = tier.post({"model": MODEL, "tokens": tokens[1:]}, "/detokenize")
    assert back.json() == {"prompt": PROMPT}


def test_every_answer_has_an_id_of_its_own(tier: Tier):
    answers = [tier.send("GET", "/v1/models") for _ in range(2)] + [tier.post(body(stream=True))]
    ids = [answer.headers.get_all("x-request-id") for answer in answers]
    assert all(found and len(found) == 1 for found in ids)
    assert len({str(found) for found in ids}) == 3


def test_the_key_may_be_the_password_of_an_empty_user(tier: Tier):
    assert tier.send("GET", "/v1/models", headers=basic("", KEYS["bob"])).status == 200


def test_a_stream_is_not_held_back(tier: Tier):
    connection = tier.connect()
    headers = tier.authorization | JSON | {"Host": HOST}
    content = json.dumps(body(stream=True, max_tokens=200, logit_bias={"2": -100}))
    begun = time.monotonic()
    connection.request("POST", "/v1/completions", content, headers)
    response = connection.getresponse()
    received = response.read1(65536)
    first = time.monotonic() - begun
    received += response.read()
    whole = time.monotonic() - begun
    connection.close()
    chunks = Answer(response.status, response.headers, received).chunks()
    assert len(chunks) > 50
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert first < whole / 2
    assert response.headers["content-length"] is None
    assert response.headers["x-accel-buffering"] == "no"


def test_500_when_the_engine_dies(installed: tuple[Namespace, Tier]):
    """The last test: the pod starts again after it."""
    namespace, tier = installed
    answers: list[Answer] = []

    def ask() -> None:
        with contextlib.suppress(http.client.HTTPException):
            answers.append(tier.post(body(**LONG)))

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(1)
    # The brackets keep the shell from finding itself.
    find = "cd /proc; for p in [0-9]*; do grep -qs '[o]penaisle_opt.launcher' $p/cmdline && kill -9 $p; done"
    with contextlib.suppress(CommandFailed):
        namespace.kubectl("exec", "openaisle-tiny-opt-0", "--", "sh", "-c", find)
    thread.join()
    assert answers[0].error(500)["type"] == "server_error"
