"""POST /v1/completions: parse, check against the model, submit, answer whole or streamed."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import unquote

from sanic import HTTPResponse, Request, Sanic

from ..errors import ApiError, EngineFailed
from ..protocol import Sampling
from . import sse
from .access_log import log_request
from .answer import Answer
from .body import read_json_body
from .context import context_of
from .event_stream import begin_stream
from .prompts import encode_prompts
from .request_id import record_of
from .schema import CompletionRequest, encode_json, parse_completion

logger = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""In the log, the status of an answer that nobody waited for, as nginx has it."""


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
    record = record_of(request)
    try:
        with context_of(request).health.count_request():
            return await _answer(request, path_model)
    except asyncio.CancelledError:
        if record.status is None:
            record.status = CLIENT_LEFT
            log_request(record)
        raise


async def _answer(request: Request, path_model: str | None) -> HTTPResponse | None:
    context, record = context_of(request), record_of(request)
    body = await read_json_body(request, context.settings.max_body_bytes)
    wanted = parse_completion(body, context.settings.served_model_name, path_model)
    record.user, record.model, record.stream = wanted.user, wanted.model, wanted.stream
    # A body may take its time to come, and a long prompt to be tokenized: see that the engine is there.
    tokenizer, ready = context.model()
    prompts = await encode_prompts(wanted, tokenizer, ready)
    context.model()
    generation = context.engine.submit(
        [prompt.token_ids for prompt in prompts], _sampling(wanted), wanted.best_of
    )
    try:
        answer = Answer(wanted, prompts, generation, context, tokenizer, record)
        if wanted.stream:
            await _stream(request, answer)
            return None
        while not answer.finished:
            await answer.advance()
        return HTTPResponse(encode_json(answer.whole()), content_type="application/json")
    finally:
        generation.close()
        context.metrics.observe_completion(record)


async def _stream(request: Request, answer: Answer) -> None:
    """Send the answer as it comes. It ends with [DONE], or with an error event and no [DONE].

    Raises:
        EngineFailed: before anything was sent.
    """
    record = record_of(request)
    changed = await answer.advance()
    response = await begin_stream(request)
    try:
        try:
            while True:
                frames = answer.frames(changed)
                if answer.finished:
                    break
                if frames:
                    await response.send(b"".join(frames))
                changed = await answer.advance()
            await response.send(b"".join(frames + answer.last_frames()))
            await response.eof()
        except ApiError as error:
            record.error = error.message
            await response.send(sse.frame(error.body()), end_stream=True)
        except Exception:
            logger.exception("request %s failed in mid-stream", record.request_id)
            record.error = "internal error"
            failure = EngineFailed("The server had an error while it wrote this answer. Please try again.")
            await response.send(sse.frame(failure.body()), end_stream=True)
        record.status = response.status
    except asyncio.CancelledError:
        record.status = CLIENT_LEFT
        raise
    finally:
        log_request(record)


def _sampling(wanted: CompletionRequest) -> Sampling:
    return Sampling(
        max_tokens=wanted.max_tokens,
        temperature=wanted.temperature,
        top_p=wanted.top_p,
        seed=wanted.seed,
        presence_penalty=wanted.presence_penalty,
        frequency_penalty=wanted.frequency_penalty,
        logit_bias=wanted.logit_bias,
        logprobs=wanted.logprobs,
        prompt_logprobs=wanted.logprobs if wanted.echo else None,
    )
