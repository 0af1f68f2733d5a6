"""One way in to the API, and what comes back, through nothing but http.client and json."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import json
import socket
import urllib.parse
from typing import Any

MODEL = "openaisle/tiny-opt"
PROMPT = "Once upon a time"
END = {"2": -100}
"""A logit_bias that keeps the model from ending its text, so that max_tokens is what counts."""
ERROR_KEYS = {"message", "type", "param", "code"}
TIMEOUT_S = 60


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """The body's value; a key that is there twice in an object is an error."""
        return json.loads(self.body, object_pairs_hook=unique)

    def error(self, status: int) -> dict[str, Any]:
        """The error object of a refusal, once its form is found to be OpenAI's."""
        assert self.status == status, (self.status, self.body[:500])
        assert self.headers["content-type"].split(";")[0] == "application/json"
        body = self.json()
        assert body.keys() == {"error"}
        error: dict[str, Any] = body["error"]
        assert error.keys() == ERROR_KEYS
        assert isinstance(error["message"], str)
        assert len(error["message"]) > 10
        assert isinstance(error["type"], str)
        assert error["param"] is None or isinstance(error["param"], str)
        assert error["code"] is None or isinstance(error["code"], str)
        assert self.headers["x-request-id"]
        return error

    def chunks(self) -> list[dict[str, Any]]:
        """The chunks of a stream that has come to its proper end."""
        assert self.status == 200, self.body[:500]
        events = self.body.decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        assert all(event.startswith("data: ") and "\n" not in event for event in events[:-2])
        return [json.loads(event[6:], object_pairs_hook=unique) for event in events[:-2]]


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    assert len(value) == len(pairs), f"a key is there twice: {pairs}"
    return value


@dataclasses.dataclass(frozen=True)
class Tier:
    name: str
    url: str
    key: str | None
    virtual_host: str | None = None
    """The name that an Ingress knows the installation by, where it is not that of the URL."""

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).netloc

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send exactly this, on a connection of its own; the key is added unless headers name one."""
        connection = self.connect()
        try:
            host = {"Host": self.virtual_host} if self.virtual_host else {}
            connection.request(method, path, body, host | self.authorization | (headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def write(self, request: bytes) -> Answer:
        """Send bytes that http.client would not, and read the answer to them."""
        host, port = self.host.rsplit(":", 1)
        with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
            with contextlib.suppress(ConnectionError):  # refused before all of it was read
                connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return Answer(response.status, response.headers, response.read())

    def post(
        self, value: object, path: str = "/v1/completions", headers: dict[str, str] | None = None
    ) -> Answer:
        kind = {"Content-Type": "application/json"}
        return self.send("POST", path, json.dumps(value).encode(), kind | (headers or {}))

    def complete(self, **fields: Any) -> dict[str, Any]:
        """A whole answer. Greedy and short unless the fields say otherwise."""
        answer = self.post(body(**fields))
        assert answer.status == 200, answer.body[:500]
        value: dict[str, Any] = answer.json()
        return value

    def choice(self, **fields: Any) -> dict[str, Any]:
        """The only choice of a whole answer."""
        (choice,) = self.complete(**fields)["choices"]
        assert isinstance(choice, dict)
        return choice

    def stream(self, **fields: Any) -> list[dict[str, Any]]:
        return self.post(body(stream=True, **fields)).chunks()

    def refuse(self, status: int = 400, **fields: Any) -> dict[str, Any]:
        return self.post(body(**fields)).error(status)


def body(**fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "prompt": PROMPT, "max_tokens": 8, "temperature": 0, **fields}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def joined(chunks: list[dict[str, Any]], index: int = 0) -> str:
    """The text of one choice of a stream."""
    return "".join(c["text"] for chunk in chunks for c in chunk["choices"] if c["index"] == index)
