"""Checkpoints with random weights in the shapes of published OPT models: speed needs no training."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import OPTConfig, OPTForCausalLM

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
        OPTForCausalLM(OPTConfig(**values)).to(torch.bfloat16).save_pretrained(path)
    return path
