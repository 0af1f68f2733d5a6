"""Folders with a small tokenizer, as Meta published OPT's: vocab.json and merges.txt, no tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import pre_tokenizers

SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "r l", "Ġwo rl", "Ġworl d"]


def write_tokenizer(folder: Path) -> None:
    """Ids 0 to 3 are special, 4 to 259 the bytes, then come the merges."""
    tokens = SPECIAL_TOKENS + sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens += [merge.replace(" ", "") for merge in MERGES]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]))
    special = {
        name: {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
        for name, content in {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>"}.items()
    }
    (folder / "special_tokens_map.json").write_text(json.dumps({**special, "pad_token": "<pad>"}))
    config = {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_prefix_space": False}
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "errors": "replace"}))


def write_checkpoint(folder: Path) -> Path:
    """What the HTTP side looks for in a folder with an OPT; the weights are empty."""
    write_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "opt", "vocab_size": 300}))
    (folder / "model.safetensors").write_bytes(b"")
    return folder
