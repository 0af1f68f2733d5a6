"""/tokenize, /detokenize and /tokenizer_info, in vLLM's form."""

from __future__ import annotations

from sanic import HTTPResponse, Request, Sanic

from .body import read_json_body
from .context import context_of
from .prompts import check_token_ids
from .schema import Detokenized, Tokenized, encode_json, parse_detokenize, parse_tokenize


def setup_tokens(app: Sanic) -> None:
    """The tokenizer's routes."""

    async def tokenize(request: Request) -> HTTPResponse:
        context = context_of(request)
        tokenizer, ready = context.model()
        body = await read_json_body(request, context.settings.max_body_bytes)
        wanted = parse_tokenize(body, context.settings.served_model_name)
        token_ids = (await tokenizer.encode(wanted.prompt)).token_ids
        if not wanted.add_special_tokens:
            token_ids = token_ids[tokenizer.num_leading_tokens :]
        texts = [tokenizer.token_text(token_id) for token_id in token_ids]
        return _json(
            Tokenized(
                count=len(token_ids),
                max_model_len=ready.max_model_len,
                tokens=token_ids,
                token_strs=texts if wanted.return_token_strs else None,
            )
        )

    async def detokenize(request: Request) -> HTTPResponse:
        context = context_of(request)
        tokenizer, ready = context.model()
        body = await read_json_body(request, context.settings.max_body_bytes)
        wanted = parse_detokenize(body, context.settings.served_model_name)
        check_token_ids(wanted.tokens, ready, "tokens")
        return _json(Detokenized(tokenizer.decode(wanted.tokens, keep_special_tokens=True)))

    async def tokenizer_info(request: Request) -> HTTPResponse:
        tokenizer, ready = context_of(request).model()
        info = {
            "tokenizer_class": "GPT2Tokenizer",
            "model_max_length": ready.max_model_len,
            **tokenizer.special_tokens,
            "chat_template": None,
        }
        return _json(info)

    for handler in (tokenize, detokenize):
        name = handler.__name__
        app.add_route(handler, f"/{name}", methods=["POST"], ignore_body=True, name=name)
    app.add_route(tokenizer_info, "/tokenizer_info", methods=["GET", "HEAD"], name="tokenizer_info")


def _json(value: object) -> HTTPResponse:
    return HTTPResponse(encode_json(value), content_type="application/json")
