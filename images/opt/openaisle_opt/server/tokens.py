"""/tokenize, /detokenize and /tokenizer_info, in vLLM's form."""

from __future__ import annotations

from sanic import HTTPResponse, Request, Sanic

from ..errors import NoChatTemplate
from ..tokenizer import OptTokenizer
from .body import read_json_body
from .context import Context, context_of
from .prompts import check_token_ids
from .schema import encode_json
from .token_schema import (
    Detokenized,
    TokenizeChatRequest,
    Tokenized,
    TokenizeRequest,
    parse_detokenize,
    parse_tokenize,
)


def setup_tokens(app: Sanic) -> None:
    """The tokenizer's routes."""

    async def tokenize(request: Request) -> HTTPResponse:
        context = context_of(request)
        tokenizer, ready = context.model()
        body = await read_json_body(request, context.settings.max_body_bytes)
        wanted = parse_tokenize(body, context.settings.served_model_name)
        token_ids = await _tokenize(wanted, tokenizer, context)
        names = list(map(tokenizer.token_name, token_ids)) if wanted.return_token_strs else None
        return _json(Tokenized(len(token_ids), ready.max_model_len, token_ids, names))

    async def detokenize(request: Request) -> HTTPResponse:
        context = context_of(request)
        tokenizer, ready = context.model()
        body = await read_json_body(request, context.settings.max_body_bytes)
        wanted = parse_detokenize(body, context.settings.served_model_name)
        check_token_ids(wanted.tokens, ready, "tokens")
        return _json(Detokenized(tokenizer.decode(wanted.tokens, keep_special_tokens=True)))

    async def tokenizer_info(request: Request) -> HTTPResponse:
        context = context_of(request)
        tokenizer, ready = context.model()
        template = context.chat_template
        info = {
            "tokenizer_class": "GPT2Tokenizer",
            "model_max_length": ready.max_model_len,
            **tokenizer.special_tokens,
            "chat_template": template.source if template else None,
        }
        return _json(info)

    for handler in (tokenize, detokenize):
        name = handler.__name__
        app.add_route(handler, f"/{name}", methods=["POST"], ignore_body=True, name=name)
    app.add_route(tokenizer_info, "/tokenizer_info", methods=["GET", "HEAD"], name="tokenizer_info")


async def _tokenize(
    wanted: TokenizeRequest | TokenizeChatRequest, tokenizer: OptTokenizer, context: Context
) -> list[int]:
    """The tokens that the model would be given for the same text or chat."""
    if isinstance(wanted, TokenizeChatRequest):
        if context.chat_template is None:
            raise NoChatTemplate(context.settings.served_model_name)
        text = context.chat_template.render(
            wanted.messages, add_generation_prompt=wanted.add_generation_prompt
        )
        return (await tokenizer.encode_once_begun(text)).token_ids
    token_ids = (await tokenizer.encode(wanted.prompt)).token_ids
    return token_ids if wanted.add_special_tokens else token_ids[tokenizer.num_leading_tokens :]


def _json(value: object) -> HTTPResponse:
    return HTTPResponse(encode_json(value), content_type="application/json")
