"""Training by the clock, with checkpoints from which it goes on."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from mixture import Mixture
from optimizer import make_optimizers
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import OPTConfig, OPTForCausalLM

MAX_POSITIONS = 2048
TOKENS_PER_STEP = 4096
WARM_UP = 0.02  # share of the time
DECAY_FROM = 0.3  # share of the time after which the rate falls to zero in a straight line
LONG_FROM = 0.85  # share of the time after which some steps have long rows
CHECKPOINT_S = 300


@dataclass(frozen=True)
class Paths:
    checkpoint: Path
    pause: Path  # training sleeps while this file exists


def new_model(vocab_size: int) -> OPTForCausalLM:
    torch.manual_seed(1)
    return OPTForCausalLM(
        OPTConfig(
            vocab_size=vocab_size,
            hidden_size=256,
            word_embed_proj_dim=256,
            num_hidden_layers=3,
            num_attention_heads=4,
            ffn_dim=1024,
            max_position_embeddings=MAX_POSITIONS,
            dropout=0.0,
            bos_token_id=2,
            eos_token_id=2,
            pad_token_id=1,
        )
    )


def row_length(step: int, done: float) -> int:
    """256 tokens, and long rows now and then near the end."""
    if done < LONG_FROM or step % 4:
        return 256
    return 2048 if step % 8 else 1024


def positions(rows: int, length: int, rng: random.Random) -> torch.Tensor:
    """Half of the rows begin at position 0, the others anywhere, so that all positions are trained."""
    starts = [0 if rng.random() < 0.5 else rng.randint(0, MAX_POSITIONS - length) for _ in range(rows)]
    return torch.tensor(starts).unsqueeze(1) + torch.arange(length)


def rate(done: float) -> float:
    """Learning rate as a share of its peak, for the share `done` of the time."""
    return min(1.0, done / WARM_UP + 0.01, (1.0 - done) / (1.0 - DECAY_FROM) + 0.001)


def train(
    model: OPTForCausalLM, tokenizer: Tokenizer, mixture: Mixture, minutes: float, paths: Paths
) -> dict:
    """Train for `minutes` of running time, pauses not counted. Returns figures for the model card."""
    optimizers = make_optimizers(model)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state = {"step": 0, "elapsed_s": 0.0, "loss": 8.0}
    if paths.checkpoint.exists():
        saved = torch.load(paths.checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        for optimizer, optimizer_state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(optimizer_state)
        average, state = saved["average"], saved["state"]
    last_checkpoint_s = state["elapsed_s"]
    while state["elapsed_s"] < minutes * 60:
        while paths.pause.exists():
            time.sleep(2)
        began = time.monotonic()
        done = state["elapsed_s"] / (minutes * 60)
        length = row_length(state["step"], done)
        ids = mixture.batch(tokenizer, state["step"], TOKENS_PER_STEP // length, length)
        position_ids = positions(ids.size(0), length, random.Random(state["step"]))
        logits = model(input_ids=ids[:, :-1], position_ids=position_ids, use_cache=False).logits
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * rate(done)
            optimizer.step()
            optimizer.zero_grad()
        for name, value in model.state_dict().items():
            average[name].lerp_(value, 0.02)
        state["step"] += 1
        state["loss"] += (loss.item() - state["loss"]) * 0.02
        state["elapsed_s"] += time.monotonic() - began
        if state["step"] % 50 == 0:
            print(
                f"step {state['step']}, {state['elapsed_s'] / 60:.1f} min, loss {state['loss']:.3f}",
                flush=True,
            )
        if state["elapsed_s"] - last_checkpoint_s > CHECKPOINT_S or state["elapsed_s"] >= minutes * 60:
            last_checkpoint_s = state["elapsed_s"]
            saved = {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "average": average,
                "state": state,
            }
            torch.save(saved, paths.checkpoint.with_suffix(".new"))
            paths.checkpoint.with_suffix(".new").replace(paths.checkpoint)
    model.load_state_dict(average)
    return state
