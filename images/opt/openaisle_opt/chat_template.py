"""A chat as one text, by a template in Jinja2 as Hugging Face's tokenizers have it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError, TemplateSyntaxError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import CheckpointError, InvalidRequest


class ChatTemplate:
    """One template, compiled; it can change nothing outside of the text that it makes."""

    def __init__(self, source: str, special_tokens: Mapping[str, str], origin: str):
        """`special_tokens` by their names in templates, as `eos_token`; `origin` names the file in errors.

        Raises:
            CheckpointError: `source` is not a template.
        """
        self.source = source
        self._special_tokens = special_tokens
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            self._template = environment.from_string(source)
        except TemplateSyntaxError as error:
            raise CheckpointError(
                f"The chat template in {origin} cannot be read: line {error.lineno}: {error.message}."
            ) from error

    def render(self, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        """The text of a chat; with `add_generation_prompt`, up to where the model's answer begins.

        Raises:
            InvalidRequest: the template does not take these messages.
        """
        try:
            return self._template.render(
                messages=messages,
                add_generation_prompt=add_generation_prompt,
                # Templates ask whether these are none.
                tools=None,
                documents=None,
                **self._special_tokens,
            )
        except TemplateError as error:
            reason = str(error)
        # A template is code, which fails in its own ways with what it does not expect.
        except Exception as error:  # noqa: BLE001
            reason = f"{type(error).__name__}: {error}"
        raise InvalidRequest(
            f"The chat template of the model does not take these messages: {reason}", param="messages"
        )


def load_chat_template(
    folder: Path, file: str | None, special_tokens: Mapping[str, str]
) -> ChatTemplate | None:
    """The template in `file`, else the one that the checkpoint in `folder` brings; None if there is none.

    Raises:
        CheckpointError
    """
    path = Path(file).expanduser() if file else folder / "chat_template.jinja"
    config = folder / "tokenizer_config.json"
    try:
        if file or path.is_file():
            return ChatTemplate(path.read_text(encoding="utf-8"), special_tokens, str(path))
        source = _in_config(config) if config.is_file() else None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The chat template in {path} cannot be read: {error}.") from error
    return ChatTemplate(source, special_tokens, str(config)) if source else None


def _in_config(path: Path) -> str | None:
    """The template in a tokenizer's configuration: a text, or several of which one is the default."""
    value = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
    if isinstance(value, list):
        value = {entry["name"]: entry["template"] for entry in value}.get("default")
    return value if isinstance(value, str) else None


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(value: Any, **options: Any) -> str:
    """Jinja's own filter escapes for HTML."""
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
