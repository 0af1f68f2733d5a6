"""The same text for a chat as transformers' tokenizer gives, from each place where a template may be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from openaisle_opt.chat_template import ChatTemplate, load_chat_template
from openaisle_opt.errors import CheckpointError
from openaisle_opt.tokenizer import load_tokenizer
from transformers import AutoTokenizer

TOKENS = {"bos_token": "</s>", "eos_token": "</s>"}
CHAT = [
    {"role": "system", "content": "Be <brief> & kind."},
    {"role": "user", "content": "Grüß 😀\n"},
    {"role": "assistant", "content": "  hello  "},
    {"role": "user", "content": "bye"},
]
TEMPLATES = [
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] | trim }}{{ eos_token }}\n{% endfor %}",
    """
    {%- if messages[0].role == 'system' %}
        {%- set system = messages[0].content %}
        {%- set messages = messages[1:] %}
    {%- endif %}
    {{- bos_token + (system or '') }}
    {% for m in messages %}
      {%- if loop.index0 > 3 %}{% break %}{% endif %}
      {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no') }}{% endif %}
    <{{ m.role }}>{{ m | tojson }}
    {% endfor %}
    {% if add_generation_prompt %}<assistant>{% endif %}
    """,
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "{{ tools is defined and tools is not none }} {{ documents }} {{ messages | tojson(indent=2) }}",
]


@pytest.mark.parametrize("add_generation_prompt", [True, False])
@pytest.mark.parametrize("source", TEMPLATES)
def test_a_chat_becomes_the_same_text_as_with_transformers(
    tokenizer_folder: Path, tmp_path: Path, source: str, add_generation_prompt: bool
) -> None:
    folder = shutil.copytree(tokenizer_folder, tmp_path / "model")
    (folder / "config.json").write_text(json.dumps({"model_type": "opt"}))
    (folder / "chat_template.jinja").write_text(source)
    tokenizer = load_tokenizer(folder)
    ours = load_chat_template(folder, None, tokenizer.special_tokens)
    assert ours is not None
    expected = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        CHAT, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    assert ours.render(CHAT, add_generation_prompt=add_generation_prompt) == expected


def test_the_template_of_the_command_line_comes_before_those_of_the_checkpoint(tmp_path: Path) -> None:
    def rendered(file: Path | None = None) -> str | None:
        template = load_chat_template(tmp_path, str(file) if file else None, TOKENS)
        return template.render(CHAT, add_generation_prompt=True) if template else None

    assert rendered() is None
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"add_bos_token": True}))
    assert rendered() is None
    config.write_text(json.dumps({"chat_template": "configured"}))
    assert rendered() == "configured"
    several = [{"name": "tools", "template": "no"}, {"name": "default", "template": "default"}]
    config.write_text(json.dumps({"chat_template": several}))
    assert rendered() == "default"
    (tmp_path / "chat_template.jinja").write_text("beside")
    assert rendered() == "beside"
    (tmp_path / "mine.jinja").write_text("mine")
    assert rendered(tmp_path / "mine.jinja") == "mine"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{% for m in messages %}", r"The chat template in .*mine\.jinja cannot be read: line 1: .*endfor"),
        ("{{ messages | nothing }}", r"line 1: No filter named 'nothing'"),
    ],
)
def test_what_is_no_template_is_told_in_a_sentence(tmp_path: Path, source: str, sentence: str) -> None:
    (tmp_path / "mine.jinja").write_text(source)
    with pytest.raises(CheckpointError, match=sentence):
        load_chat_template(tmp_path, str(tmp_path / "mine.jinja"), TOKENS)


def test_a_file_that_is_no_text_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "mine.jinja").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_chat_template(tmp_path, str(tmp_path / "mine.jinja"), TOKENS)


def test_a_chat_cannot_change_what_the_template_sees_next() -> None:
    template = ChatTemplate("{{ messages | length }}", TOKENS, "x")
    assert [template.render(CHAT, add_generation_prompt=True) for _ in range(2)] == ["4", "4"]
