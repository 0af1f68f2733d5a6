"""HTTPS, a Gateway and a path prefix: an installation below /lab, by an Ingress and by an HTTPRoute.

The Ingress serves HTTPS at $OPENAISLE_INGRESS_TLS_URL (https://127.0.0.1:8443). The Gateway is of the class
$OPENAISLE_GATEWAY_CLASS (traefik) and shares its addresses with the Ingress.
"""

from __future__ import annotations

import os
import pathlib
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import MODEL, Namespace, wait_for

PREFIX = "/lab"
CHAT_TEMPLATE = """\
{% for message in messages %}
{{ message.role }}: {{ message.content }}
{% endfor %}
{% if add_generation_prompt %}assistant:{% endif %}"""
# Names that no earlier run has left a certificate for.
RUN = secrets.token_hex(3)
INGRESS_HOST, GATEWAY_HOST = f"ingress-{RUN}.example.org", f"gateway-{RUN}.example.org"
WAYS = ["ingress-https", "gateway-https", "gateway-http"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate of its own for both hosts, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    names = f"subjectAltName=DNS:{INGRESS_HOST},DNS:{GATEWAY_HOST}"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=lab"]
    command = [*request, "-addext", names, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@dataclass
class Way:
    """One way into the installation below the prefix."""

    client: httpx.Client
    host: str

    def url(self, path: str) -> str:
        return f"{str(self.client.base_url).rstrip('/')}{PREFIX}{path}"

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(
            method, self.url(path), extensions={"sni_hostname": self.host}, follow_redirects=False, **options
        )


def gateway() -> dict[str, Any]:
    tls = {"mode": "Terminate", "certificateRefs": [{"name": "certificate"}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "lab"},
        "spec": {
            "gatewayClassName": os.environ.get("OPENAISLE_GATEWAY_CLASS", "traefik"),
            "listeners": [
                {"name": "web", "protocol": "HTTP", "port": 80},
                {"name": "secure", "protocol": "HTTPS", "port": 443, "tls": tls},
            ],
        },
    }


@pytest.fixture(scope="module")
def installed(new_namespace: Callable[[], Namespace], certificate: Any) -> Iterator[Namespace]:
    namespace = new_namespace()
    crt, key = certificate
    namespace.kubectl("create", "secret", "tls", "certificate", f"--cert={crt}", f"--key={key}")
    namespace.apply(gateway())
    namespace.install(
        values={
            "ingress": {
                "host": INGRESS_HOST,
                "pathPrefix": PREFIX,
                "tls": {"enabled": True, "secretName": "certificate"},
            },
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "lab"}], "hostnames": [GATEWAY_HOST]},
            "models": [
                {
                    "name": "m",
                    "chatTemplate": CHAT_TEMPLATE,
                    "resources": {"requests": {"cpu": "200m", "memory": "600Mi"}},
                }
            ],
        }
    )
    yield namespace
    namespace.helm("uninstall", "openaisle", "--wait")


@pytest.fixture(scope="module", params=WAYS)
def way(request: Any, installed: Namespace, certificate: Any, ingress_url: str) -> Iterator[Way]:
    kind, scheme = request.param.split("-")
    host = INGRESS_HOST if kind == "ingress" else GATEWAY_HOST
    tls_url = os.environ.get("OPENAISLE_INGRESS_TLS_URL", "https://127.0.0.1:8443")
    with httpx.Client(
        base_url=ingress_url if scheme == "http" else tls_url,
        headers={"Host": host, "Authorization": f"Bearer {installed.key()}"},
        verify=ssl.create_default_context(cafile=str(certificate[0])),
        timeout=90,
    ) as client:
        way = Way(client, host)

        def answers() -> bool:
            try:
                return all(way.send("GET", path).status_code == 200 for path in ("/v1/models", "/"))
            except httpx.TransportError:
                return False

        wait_for(f"an answer by {request.param}", answers, timeout_s=120)
        yield way


def test_a_gateway_takes_the_route(installed):
    def conditions():
        parents = installed.get("httproute", "openaisle").get("status", {}).get("parents", [])
        return {item["type"]: item["status"] for parent in parents for item in parent["conditions"]}

    wait_for("the Gateway", lambda: conditions().get("Accepted") == "True", timeout_s=30)
    assert conditions()["ResolvedRefs"] == "True"


def test_page_documentation_and_api_are_below_the_prefix(way):
    for path, content in (("/", "<html"), ("/docs/", "<html"), ("/openapi.json", '"openapi"')):
        answer = way.send("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        assert content in answer.text
    redirect = way.send("GET", "")
    assert (redirect.status_code, redirect.headers["location"]) == (308, f"{PREFIX}/")


@pytest.mark.parametrize("model", [MODEL, MODEL.replace("/", "%2F")])
def test_a_model_is_found_below_the_prefix(way, model):
    answer = way.send("GET", f"/v1/models/{model}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == MODEL


def test_a_chat_becomes_the_prompt_that_the_models_template_makes_of_it(way):
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me a story."}]}
    tokens = way.send("POST", "/tokenize", json=chat).json()["tokens"]
    prompt = way.send("POST", "/detokenize", json={"model": MODEL, "tokens": tokens}).json()["prompt"]
    assert prompt == "</s>user: Tell me a story.\nassistant:"
    settings = {"max_tokens": 12, "temperature": 0}
    answer = way.send("POST", "/v1/chat/completions", json=chat | settings)
    assert answer.status_code == 200, answer.text
    plain = way.send("POST", "/v1/completions", json={"model": MODEL, "prompt": tokens} | settings)
    message = answer.json()["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert message["content"] == plain.json()["choices"][0]["text"]


def test_a_stream_arrives_as_it_is_written(way, record_property):
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 1000, "stream": True}
    body |= {"temperature": 0, "logit_bias": {"2": -100}}

    def arrive():
        """Seconds at which each chunk arrived; none where Traefik has cut the stream, as it does to all when
        it hears of another gateway, be it another test's."""
        began = time.monotonic()
        arrivals = []
        request = {"json": body, "extensions": {"sni_hostname": way.host}}
        try:
            with way.client.stream("POST", way.url("/v1/completions"), **request) as answer:
                assert answer.status_code == 200
                for _ in answer.iter_raw():
                    arrivals.append(time.monotonic() - began)
        except httpx.RemoteProtocolError:
            return []
        return arrivals

    arrivals = wait_for("a whole stream", arrive, timeout_s=60)
    first, last = arrivals[0], arrivals[-1]
    record_property("chunks", len(arrivals))
    record_property("first_chunk_s", first)
    record_property("last_chunk_s", last)
    print(f"{len(arrivals)} chunks, the first after {first:.2f} s, the last after {last:.2f} s")
    assert len(arrivals) > 20
    assert last - first > 0.02, "the stream was buffered: all of it came at once"


def test_errors_are_the_api_s_own(way):
    answer = way.send("POST", "/v1/completions", json={"model": "no/such", "prompt": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
