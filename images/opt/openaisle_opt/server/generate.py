"""What both APIs have in common: submit the prompts, and answer whole or as a stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from sanic import HTTPResponse, Request

from ..errors import ApiError, EngineFailed
from ..protocol import Ready, Sampling
from ..tokenizer import OptTokenizer
from . import sse
from .access_log import log_request
from .answer import Answer
from .context import context_of
from .event_stream import begin_stream
from .prompts import EncodedPrompt
from .request_id import record_of
from .schema import CompletionRequest, encode_json
from .shapes import Shape

logger = logging.getLogger(__name__)

CLIENT_LEFT = 499
"""In the log, the status of an answer that nobody waited for, as nginx has it."""


@contextlib.contextmanager
def in_progress(request: Request) -> Iterator[None]:
    """The server does not leave before the end of this; a client that leaves is logged.

    Raises:
        Unavailable: the model is loading, or the server is about to leave.
    """
    record = record_of(request)
    try:
        with context_of(request).health.count_request():
            yield
    except asyncio.CancelledError:
        if record.status is None:
            record.status = CLIENT_LEFT
            log_request(record)
        raise


async def generate(
    request: Request,
    wanted: CompletionRequest,
    prompts: list[EncodedPrompt],
    tokenizer: OptTokenizer,
    shape: Shape,
) -> HTTPResponse | None:
    """Answer a request that was checked; None if the answer was streamed.

    Raises:
        ApiError
    """
    context, record = context_of(request), record_of(request)
    # A body may take its time to come, and a long prompt to be tokenized: see that the engine is there.
    _, ready = context.model()
    sampling = _sampling(wanted, prompts, ready)
    generation = context.engine.submit([prompt.token_ids for prompt in prompts], sampling, wanted.best_of)
    timeout_s = context.settings.request_timeout_s
    timer = (
        asyncio.get_running_loop().call_later(timeout_s, generation.expire, timeout_s) if timeout_s else None
    )
    try:
        answer = Answer(wanted, prompts, shape, generation, context, tokenizer, record)
        if wanted.stream:
            await _stream(request, answer)
            return None
        while not answer.finished:
            await answer.advance()
        return HTTPResponse(encode_json(answer.whole()), content_type="application/json")
    finally:
        if timer is not None:
            timer.cancel()
        generation.close()
        context.metrics.observe_completion(record)


async def _stream(request: Request, answer: Answer) -> None:
    """Send the answer as it comes. It ends with [DONE], or with an error event and no [DONE].

    Raises:
        ApiError: before anything was sent.
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


def _sampling(wanted: CompletionRequest, prompts: list[EncodedPrompt], ready: Ready) -> Sampling:
    max_tokens = wanted.max_tokens
    if max_tokens is None:
        max_tokens = ready.max_model_len - max(len(prompt.token_ids) for prompt in prompts)
    return Sampling(
        max_tokens=max_tokens,
        temperature=wanted.temperature,
        top_p=wanted.top_p,
        seed=wanted.seed,
        presence_penalty=wanted.presence_penalty,
        frequency_penalty=wanted.frequency_penalty,
        logit_bias=wanted.logit_bias,
        logprobs=wanted.logprobs,
        prompt_logprobs=wanted.logprobs if wanted.echo else None,
    )
