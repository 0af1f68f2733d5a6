"""The finished model in Hugging Face's layout."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import OPTForCausalLM
from vocabulary import save_tokenizer


def save_model(model: OPTForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # others than its owner serve it
    save_tokenizer(tokenizer, folder)
