"""Prompts as the engine wants them, checked against the model."""

from __future__ import annotations

from dataclasses import dataclass

from ..detokenizer import Detokenizer
from ..errors import ContextLengthExceeded, InvalidRequest
from ..protocol import Ready
from ..tokenizer import OptTokenizer
from .schema import CompletionRequest


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as the engine and the answer need it."""

    token_ids: list[int]
    text: str = ""
    """Empty for a prompt of token ids whose text nobody asked for."""
    offsets: list[int] | None = None
    """Where each token begins in `text`, in code points; None as above."""


async def encode_prompts(
    wanted: CompletionRequest, tokenizer: OptTokenizer, ready: Ready
) -> list[EncodedPrompt]:
    """The prompts of a request as token ids.

    Raises:
        ContextLengthExceeded: a prompt and its completion are too long for the model.
        InvalidRequest: an id is not in the vocabulary.
    """
    _check_bias(wanted, ready)
    needs_text = wanted.echo or wanted.logprobs is not None
    prompts = []
    for prompt in wanted.prompts:
        if isinstance(prompt, str):
            _check_characters(prompt, wanted, tokenizer, ready, "prompt")
            tokenized = await tokenizer.encode(prompt)
            encoded = EncodedPrompt(tokenized.token_ids, prompt, tokenized.offsets)
        else:
            check_token_ids(prompt, ready, "prompt")
            encoded = _locate(prompt, tokenizer) if needs_text else EncodedPrompt(prompt)
        _check_length(len(encoded.token_ids), wanted.max_tokens, ready.max_model_len)
        prompts.append(encoded)
    return prompts


async def encode_chat(
    text: str, wanted: CompletionRequest, tokenizer: OptTokenizer, ready: Ready
) -> EncodedPrompt:
    """The text of a chat as token ids.

    Raises:
        ContextLengthExceeded, InvalidRequest: as for `encode_prompts`.
    """
    _check_bias(wanted, ready)
    _check_characters(text, wanted, tokenizer, ready, "messages")
    tokenized = await tokenizer.encode_once_begun(text)
    _check_length(len(tokenized.token_ids), wanted.max_tokens, ready.max_model_len, param="messages")
    return EncodedPrompt(tokenized.token_ids, text, tokenized.offsets)


def check_token_ids(token_ids: list[int], ready: Ready, param: str) -> None:
    """See that all ids are tokens of the model.

    Raises:
        InvalidRequest
    """
    largest = max(token_ids, default=0)
    if largest >= ready.vocab_size:
        raise _no_such_token(largest, ready, param)


def _no_such_token(token_id: int, ready: Ready, param: str) -> InvalidRequest:
    return InvalidRequest(
        f"{token_id} is not the id of a token: the model has the ids 0 to {ready.vocab_size - 1} - '{param}'",
        param=param,
    )


def _check_bias(wanted: CompletionRequest, ready: Ready) -> None:
    for token_id in wanted.logit_bias:
        if token_id >= ready.vocab_size:
            raise _no_such_token(token_id, ready, "logit_bias")


def _check_characters(
    text: str, wanted: CompletionRequest, tokenizer: OptTokenizer, ready: Ready, param: str
) -> None:
    """Refuse a text that cannot fit, however it is tokenized, which would take seconds for megabytes."""
    num_tokens = -(-len(text) // tokenizer.longest_token)
    if num_tokens > ready.max_model_len:
        raise ContextLengthExceeded(
            max_model_len=ready.max_model_len,
            num_prompt_tokens=num_tokens,
            max_tokens=1 if wanted.max_tokens is None else wanted.max_tokens,
            param=param,
            is_estimate=True,
        )


def _check_length(
    num_prompt_tokens: int, max_tokens: int | None, max_model_len: int, param: str = "prompt"
) -> None:
    """`max_tokens` None needs room for one token; `param` is what makes up the prompt."""
    if max_tokens is None:
        max_tokens = 1
    if num_prompt_tokens + max_tokens > max_model_len:
        raise ContextLengthExceeded(
            max_model_len=max_model_len,
            num_prompt_tokens=num_prompt_tokens,
            max_tokens=max_tokens,
            param=param if num_prompt_tokens >= max_model_len else "max_tokens",
        )


def _locate(token_ids: list[int], tokenizer: OptTokenizer) -> EncodedPrompt:
    """The text of a prompt of ids, in which special tokens such as the leading `</s>` have no width."""
    detokenizer = Detokenizer()
    texts, offsets = [], []
    for token_id in token_ids:
        piece = tokenizer.piece(token_id)
        offsets.append(detokenizer.offset_of(piece))
        texts.append(detokenizer.push(piece))
    texts.append(detokenizer.finish())
    return EncodedPrompt(token_ids, "".join(texts), offsets)
