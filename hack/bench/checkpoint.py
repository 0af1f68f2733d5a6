"""Checkpoints with random weights in the shapes of published OPT models: speed needs no training."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import OPTConfig, OPTForCausalLM

VOCAB_SIZE = 50272

SHAPES = {
    "opt-125m": {"hidden_size": 768, "ffn_dim": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "opt-350m": {
        "hidden_size": 1024,
        "ffn_dim": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "word_embed_proj_dim": 512,
        "do_layer_norm_before": False,
    },
    "opt-1.3b": {"hidden_size": 2048, "ffn_dim": 8192, "num_hidden_layers": 24, "num_attention_heads": 32},
}


def make_checkpoint(shape: str, folder: Path) -> Path:
    """Write a checkpoint of `shape` in bfloat16 to `folder`, unless it is there already."""
    path = folder / shape
    if not (path / "config.json").exists():
        torch.manual_seed(0)
        values = {"word_embed_proj_dim": SHAPES[shape]["hidden_size"]} | SHAPES[shape]
        config = OPTConfig.from_dict({**values, "vocab_size": VOCAB_SIZE})
        model = OPTForCausalLM(config)
        model.bfloat16().save_pretrained(path)
        _make_tokenizer(path)
    return path


def _make_tokenizer(path: Path) -> None:
    """Give each token a word of its own: a server has text to send, of a usual length."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<s>", "<pad>", "</s>", "<unk>", *letters]
    words += [f"\u0120w{number}" for number in range(VOCAB_SIZE - len(words))]
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(words[:4])
    tokenizer.save(str(path / "tokenizer.json"))
    names = {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
