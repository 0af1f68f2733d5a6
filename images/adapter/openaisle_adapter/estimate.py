"""What a completion may cost, before a model server has counted it (pure)."""

from __future__ import annotations

from typing import Any

from .usage import Usage

BYTES_PER_TOKEN = 4
"""Of English text, about; the true number is charged when the answer tells it."""
COMPLETION_TOKENS = 16
"""What a completion may be long if nothing is said."""
CHAT_TOKENS = 256


def estimate_usage(fields: dict[str, Any]) -> Usage:
    """The tokens of the prompts, and of the longest answer that is asked for.

    Fields that make no sense count nothing: the model server refuses them.
    """
    prompts = _prompts(fields.get("prompt", fields.get("messages")))
    default = CHAT_TOKENS if "messages" in fields else COMPLETION_TOKENS
    max_tokens = _number(fields.get("max_completion_tokens", fields.get("max_tokens")), default)
    samples = max(_number(fields.get("n"), 1), _number(fields.get("best_of"), 1))
    num_answers = samples * (1 if "messages" in fields else len(prompts))
    return Usage(sum(map(_size, prompts)), max_tokens * num_answers)


def _prompts(prompt: Any) -> list[Any]:
    """One prompt or several, each a text, a list of token ids, or a chat's message."""
    if not isinstance(prompt, list):
        return [prompt]
    return [prompt] if all(isinstance(part, int) for part in prompt) else prompt


def _size(prompt: Any) -> int:
    if isinstance(prompt, dict):
        prompt = prompt.get("content")
    if isinstance(prompt, str):
        return 1 + len(prompt.encode("utf-8", "replace")) // BYTES_PER_TOKEN
    return len(prompt) if isinstance(prompt, list) else 1


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default
