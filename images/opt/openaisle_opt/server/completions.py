"""POST /v1/completions: parse, check against the model, generate."""

from __future__ import annotations

from urllib.parse import unquote

from sanic import HTTPResponse, Request, Sanic

from .body import read_json_body
from .context import context_of
from .generate import generate, in_progress
from .prompts import encode_prompts
from .request_id import record_of
from .schema import parse_completion
from .shapes import CompletionShape


def setup_completions(app: Sanic) -> None:
    """POST /v1/completions, and its older name with the model in the path."""

    async def create_completion(request: Request) -> HTTPResponse | None:
        return await _complete(request, None)

    async def create_engine_completion(request: Request, model: str) -> HTTPResponse | None:
        return await _complete(request, unquote(model))

    app.add_route(
        create_completion, "/v1/completions", methods=["POST"], ignore_body=True, name="create_completion"
    )
    app.add_route(
        create_engine_completion,
        "/v1/engines/<model:path>/completions",
        methods=["POST"],
        ignore_body=True,
        name="create_engine_completion",
    )


async def _complete(request: Request, path_model: str | None) -> HTTPResponse | None:
    """Answer one request; None if the answer was streamed."""
    context, record = context_of(request), record_of(request)
    with in_progress(request):
        body = await read_json_body(request, context.settings.max_body_bytes)
        wanted = parse_completion(body, context.settings.served_model_name, path_model)
        record.user, record.model, record.stream = wanted.user, wanted.model, wanted.stream
        tokenizer, ready = context.model()
        # To tokenize what is refused afterwards would take seconds for a body full of prompts.
        context.engine.check_room(len(wanted.prompts) * wanted.best_of)
        prompts = await encode_prompts(wanted, tokenizer, ready)
        shape = CompletionShape(tokenizer, wanted.logprobs)
        return await generate(request, wanted, prompts, tokenizer, shape)
