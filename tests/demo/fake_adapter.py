"""A small adapter with the behaviours that the page's tests want: it streams words with made-up
probabilities, slowly if asked, fails as told, and remembers what it was asked. Without a key it
does for a model server as well.

    python tests/demo/fake_adapter.py 8000    # to look at the page by hand; any key will do
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "sk-test"
WORDS = [
    "she",
    "walked",
    "down",
    "to",
    "the",
    "sea",
    "and",
    "found",
    "a",
    "small",
    "boat",
    "with",
    "a",
    "red",
    "sail.\n",
]
CONTEXT = 2048


@dataclass
class Behaviour:
    """What the fake does next. Tests change it; each test begins with a new one."""

    models: list[str] = field(default_factory=lambda: ["openaisle/tiny-opt", "facebook/opt-125m"])
    key: str | None = KEY
    pieces: list[list[tuple[str, str]]] | None = None
    """Chunks of a stream, each a list of (token's label, text); None makes words without an end."""
    delay_s: float = 0.0
    """Waited before each chunk."""
    gate: threading.Event | None = None
    """Waited for before the second chunk."""
    finish_reason: str = "length"
    cut_after: int | None = None
    """Chunks after which the connection is closed in mid-stream."""
    error_after: int | None = None
    """Chunks after which an error event ends the stream."""
    failures: list[web.Response] = field(default_factory=list)
    """Answers to the next completion requests, in their place."""


class FakeAdapter:
    """Runs in a thread of its own, on a free port of 127.0.0.1, between `start` and `close`."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.requests: list[dict[str, Any]] = []
        """Bodies of completion requests, in their order."""
        self.paths: list[str] = []
        """Raw targets of every request."""
        self.gone = threading.Event()
        """Set when a client leaves in the middle of a stream."""
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self, port: int = 0) -> FakeAdapter:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(port), self._loop).result(10)
        return self

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self, port: int) -> None:
        app = web.Application(client_max_size=1024**2, middlewares=[self._note_path])
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{id:.+}", self._model)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_get("/docs/", self._docs)
        app.router.add_get("/health/ready", self._ready)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]

    @web.middleware
    async def _note_path(self, request: web.Request, handler: Callable[[web.Request], Any]) -> Any:
        self.paths.append(request.raw_path)
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return failure(413, "The request body is larger than the limit of 1048576 bytes.")

    def _refusal(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.behaviour.key is None or given == self.behaviour.key:
            return None
        if not given:
            return failure(401, "You didn't provide an API key.")
        return failure(401, "Incorrect API key provided: sk-wr***ng.", code="invalid_api_key")

    async def _models(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        entries = [{"id": id_, "object": "model", "max_model_len": CONTEXT} for id_ in self.behaviour.models]
        return refusal or web.json_response({"object": "list", "data": entries})

    async def _model(self, request: web.Request) -> web.Response:
        return web.json_response({"id": request.match_info["id"], "object": "model"})

    async def _openapi(self, _request: web.Request) -> web.Response:
        properties = {"temperature": {"minimum": 0, "maximum": 2}, "logprobs": {"minimum": 0, "maximum": 5}}
        schemas = {"CreateCompletionRequest": {"properties": properties}}
        return web.json_response({"info": {"version": "9.8.7"}, "components": {"schemas": schemas}})

    async def _docs(self, _request: web.Request) -> web.Response:
        return web.Response(text="<h1>API</h1>", content_type="text/html")

    async def _ready(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ready"})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if self.behaviour.failures:
            return self.behaviour.failures.pop(0)
        if body.get("stream"):
            return await self._stream(request, body)
        return web.json_response(self._whole(body), headers={"x-request-id": "req-fake"})

    def _chunks(self, body: dict[str, Any], choice: int) -> list[list[tuple[str, str]]]:
        if self.behaviour.pieces is not None:
            return self.behaviour.pieces
        start = 3 * choice
        words = itertools.islice(itertools.cycle(WORDS), start, start + body.get("max_tokens", 16))
        return [[(" " + word, " " + word)] for word in words]

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        behaviour = self.behaviour
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
                "x-request-id": "req-fake",
            }
        )
        await response.prepare(request)

        async def send(event: object) -> None:
            text = event if isinstance(event, str) else json.dumps(event)
            await response.write(f"data: {text}\n\n".encode())

        try:
            rows = [self._chunks(body, choice) for choice in range(body.get("n", 1))]
            offsets = [len(body["prompt"])] * len(rows)
            for i, row in enumerate(zip(*rows, strict=False)):
                if i == 1 and behaviour.gate:
                    await asyncio.to_thread(behaviour.gate.wait, 30)
                await asyncio.sleep(behaviour.delay_s)
                if i == behaviour.cut_after and request.transport is not None:
                    request.transport.abort()
                    return response
                if i == behaviour.error_after:
                    await send({"error": error_body("The engine failed.", "server_error")})
                    return response
                for choice, piece in enumerate(row):
                    text = "".join(text for _, text in piece)
                    logprobs = self._logprobs(body, piece, offsets[choice])
                    offsets[choice] += len(text)
                    await send(chunk(body, choice, text, logprobs))
            for choice in range(len(rows)):
                await send(chunk(body, choice, "", None, behaviour.finish_reason))
            if (body.get("stream_options") or {}).get("include_usage"):
                generated = sum(len(piece) for row in rows for piece in row)
                await send(
                    {**chunk(body, 0, "", None), "choices": [], "usage": usage(body["prompt"], generated)}
                )
            await send("[DONE]")
        except ConnectionError:
            self.gone.set()
        return response

    def _whole(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("echo") and not body.get("max_tokens"):
            pieces = [(token, token) for token in re.findall(r"\s*\S+|\s+$", body["prompt"])]
            pieces.insert(0, ("</s>", ""))
            text, offset = body["prompt"], 0
        else:
            pieces = [pair for piece in self._chunks(body, 0) for pair in piece]
            text, offset = "".join(text for _, text in pieces), len(body["prompt"])
        answer = chunk(body, 0, text, self._logprobs(body, pieces, offset), self.behaviour.finish_reason)
        if body.get("echo") and answer["choices"][0]["logprobs"]:
            answer["choices"][0]["logprobs"]["token_logprobs"][0] = None
            answer["choices"][0]["logprobs"]["top_logprobs"][0] = None
        return {**answer, "usage": usage(body["prompt"], len(pieces))}

    def _logprobs(
        self, body: dict[str, Any], pieces: list[tuple[str, str]], offset: int
    ) -> dict[str, Any] | None:
        if body.get("logprobs") is None:
            return None
        result: dict[str, Any] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for label, text in pieces:
            share = 0.95 / (1 + sum(label.encode()) % 7) ** 2
            top = {label: math.log(share), " then": math.log(0.03), " quietly": math.log(0.02)}
            result["tokens"].append(label)
            result["token_logprobs"].append(math.log(share))
            result["top_logprobs"].append(top)
            result["text_offset"].append(offset)
            offset += len(text)
        return result


def error_body(
    message: str, type_: str, *, code: str | None = None, param: str | None = None
) -> dict[str, Any]:
    return {"message": message, "type": type_, "param": param, "code": code}


def failure(
    status: int, message: str, *, code: str | None = None, retry_after: str | None = None
) -> web.Response:
    """An answer in OpenAI's error shape."""
    headers = {"x-request-id": "req-failed"} | ({"retry-after": retry_after} if retry_after else {})
    type_ = "server_error" if status >= 500 else "invalid_request_error"
    return web.json_response({"error": error_body(message, type_, code=code)}, status=status, headers=headers)


def chunk(
    body: dict[str, Any],
    index: int,
    text: str,
    logprobs: dict[str, Any] | None,
    finish_reason: str | None = None,
) -> dict[str, Any]:
    choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}
    head = {"id": "cmpl-fake", "object": "text_completion", "created": 0, "model": body["model"]}
    return {**head, "choices": [choice]}


def usage(prompt: str, completion_tokens: int) -> dict[str, int]:
    prompt_tokens = 1 + len(prompt) // 4
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


if __name__ == "__main__":
    import sys

    fake = FakeAdapter()
    fake.behaviour.key = None
    fake.behaviour.delay_s = 0.05
    print(fake.start(int(sys.argv[1])).url)
    threading.Event().wait()
