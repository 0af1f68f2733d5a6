"""POST /v1/chat/completions, for models that have a chat template."""

from __future__ import annotations

from sanic import HTTPResponse, Request, Sanic

from .body import read_json_body
from .chat_schema import parse_chat
from .context import context_of
from .generate import generate, in_progress
from .prompts import encode_chat
from .request_id import record_of
from .shapes import ChatShape


def setup_chat(app: Sanic) -> None:
    """The route is there for every model, so that those that do not chat can say so."""
    app.add_route(
        _create_chat_completion,
        "/v1/chat/completions",
        methods=["POST"],
        ignore_body=True,
        name="create_chat_completion",
    )


async def _create_chat_completion(request: Request) -> HTTPResponse | None:
    """Answer one request; None if the answer was streamed."""
    context, record = context_of(request), record_of(request)
    with in_progress(request):
        body = await read_json_body(request, context.settings.max_body_bytes)
        template = context.chat_template
        chat = parse_chat(body, context.settings.served_model_name, has_template=template is not None)
        assert template is not None
        wanted = chat.completion
        record.user, record.model, record.stream = wanted.user, wanted.model, wanted.stream
        tokenizer, ready = context.model()
        text = template.render(chat.messages, add_generation_prompt=True)
        prompt = await encode_chat(text, wanted, tokenizer, ready)
        return await generate(request, wanted, [prompt], tokenizer, ChatShape(tokenizer, wanted.logprobs))
