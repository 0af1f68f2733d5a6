"""The ways in: the Ingress with each kind of key, and `kubectl port-forward`."""

import json

import httpx
import pytest

from tests.cluster.conftest import MODEL


@pytest.mark.parametrize("kind", ["bearer", "basic"])
def test_a_completion_through_the_ingress(release, ingress_url, kind):
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8}
    authorization = (
        {"headers": {"Authorization": f"Bearer {release.key}"}}
        if kind == "bearer"
        else {"auth": ("", release.key)}
    )
    answer = httpx.post(f"{ingress_url}/v1/completions", json=body, timeout=60, **authorization)
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["completion_tokens"] == 8
    assert answer.json()["choices"][0]["text"]


def test_a_stream_arrives_in_pieces_and_ends_in_done(release):
    # Long enough for a fast model to write for several of the Ingress controller's reads.
    long = {"max_tokens": 800, "logit_bias": {"2": -100}}
    body = {"model": MODEL, "prompt": "Once upon a time", "stream": True, "temperature": 0} | long
    pieces = []
    with release.client.stream("POST", "/v1/completions", json=body) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        pieces.extend(answer.iter_raw())
    assert len(pieces) > 4, "the Ingress has buffered the stream"
    events = b"".join(pieces).decode().strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    text = "".join(
        choice["text"]
        for event in events[:-1]
        for choice in json.loads(event.removeprefix("data: "))["choices"]
    )
    assert text == release.complete(**long).json()["choices"][0]["text"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk-wrong"}])
def test_a_missing_or_wrong_key_is_refused(release, ingress_url, headers):
    answer = httpx.get(f"{ingress_url}/v1/models", headers=headers, timeout=60)
    assert answer.status_code == 401
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/v1/models/openaisle/tiny-opt", "/v1/models/openaisle%2Ftiny-opt"])
def test_a_model_is_found_by_its_id_with_the_slash_raw_or_encoded(release, path):
    with release.namespace.port_forward("service/openaisle-demo") as demo_url:
        for url in (str(release.client.base_url), demo_url):
            answer = release.client.get(f"{url.rstrip('/')}{path}")
            assert answer.status_code == 200, (url, answer.text)
            assert answer.json()["id"] == MODEL


@pytest.mark.parametrize(
    ("path", "content"), [("/", "<html"), ("/docs/", "<html"), ("/openapi.json", '"openapi"')]
)
def test_page_and_documentation_are_open(release, ingress_url, path, content):
    with release.namespace.port_forward("service/openaisle-demo") as demo_url:
        for url in (ingress_url, demo_url):
            answer = httpx.get(url + path, timeout=60, follow_redirects=True)
            assert answer.status_code == 200, (url, answer.text)
            assert content in answer.text


def test_the_demo_service_alone_is_a_whole_installation(release):
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8, "stream": True}
    with release.namespace.port_forward("service/openaisle-demo") as url:
        answer = release.client.post(f"{url}/v1/completions", json=body)
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("data: [DONE]")


def test_errors_have_openai_s_shape_through_the_ingress(release):
    unknown = release.complete(model="no/such-model")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    large = release.client.post("/v1/completions", content=b" " * (4 * 1024 * 1024 + 1))
    assert large.status_code == 413
    assert large.json()["error"]["type"] == "invalid_request_error"
