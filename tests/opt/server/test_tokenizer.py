"""The same token ids as transformers' tokenizer, from both kinds of files."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openaisle_opt.errors import CheckpointError
from openaisle_opt.settings import BUNDLED_MODEL_DIR
from openaisle_opt.tokenizer import OptTokenizer, load_tokenizer
from transformers import AutoTokenizer

TEXTS = [
    "",
    "hello world",
    " hello  world\n\n",
    "</s>",
    "</s></s>hello",
    "hello </s> world",
    "<pad><s><unk>",
    "naïve 😀 日本語 \u200d",
    "\x00\x7f",
    "don't 123,456",
]


@pytest.fixture(scope="module", params=["vocab.json", "tokenizer.json", "bundled"])
def pair(request: pytest.FixtureRequest, tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """Our tokenizer and transformers' for the same folder."""
    folder = BUNDLED_MODEL_DIR
    if request.param != "bundled":
        folder = tmp_path_factory.mktemp("pair")
        shutil.copytree(tokenizer_folder, folder, dirs_exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"model_type": "opt"}))
    theirs = AutoTokenizer.from_pretrained(folder)
    if request.param == "tokenizer.json":
        theirs.save_pretrained(folder)
        (folder / "vocab.json").unlink(missing_ok=True)
        (folder / "merges.txt").unlink(missing_ok=True)
    return load_tokenizer(folder), theirs


@pytest.mark.parametrize("text", TEXTS)
async def test_ids_equal_those_of_transformers(pair, text: str) -> None:
    ours, theirs = pair
    assert (await ours.encode(text)).token_ids == theirs(text)["input_ids"]


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_equal_those_of_transformers(pair, text: str) -> None:
    ours, theirs = pair
    ids = theirs(text)["input_ids"]
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
    assert ours.decode(ids, keep_special_tokens=True) == theirs.decode(ids)


async def test_a_long_text_gives_the_same_ids(tokenizer: OptTokenizer) -> None:
    long = (await tokenizer.encode("hello world " * 2000)).token_ids
    assert len(long) == 1 + 2000 * 3
    assert long[:4] == (await tokenizer.encode("hello world ")).token_ids


async def test_offsets_count_code_points_and_the_leading_token_has_no_width(tokenizer: OptTokenizer) -> None:
    tokenized = await tokenizer.encode("é😀 world</s>hello")
    texts = [tokenizer.token_text(token_id) for token_id in tokenized.token_ids]
    assert texts[-3:] == [" world", "</s>", "hello"]
    assert tokenized.offsets == [0, 0, 0, 1, 1, 1, 1, 2, 8, 12]


@given(st.text())
def test_decoding_gives_back_any_text(text: str) -> None:
    tokenizer = _bundled()
    ids = tokenizer._tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, keep_special_tokens=True) == text


def test_every_id_has_a_text_of_its_own() -> None:
    tokenizer = _bundled()
    texts = [tokenizer.token_text(token_id) for token_id in range(tokenizer.vocab_size + 10)]
    assert len(set(texts)) == len(texts)
    assert "" not in texts


def test_a_broken_tokenizer_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tokenizer(tmp_path)


@functools.cache
def _bundled() -> OptTokenizer:
    return load_tokenizer(BUNDLED_MODEL_DIR)
