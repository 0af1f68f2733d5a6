"""Training for a given time of the processor, with checkpoints from which it goes on."""

import math
import random
import time
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
MEAN_SHARE = 0.02  # of the newest step in the mean weights and in the mean loss


def new_model(vocab_size: int) -> OPTForCausalLM:
    torch.manual_seed(1)
    model = OPTForCausalLM(
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
    table = model.model.decoder.embed_positions.weight.data
    table[-MAX_POSITIONS:] = sinusoids(MAX_POSITIONS, table.size(1))  # OPT's first two rows stand for padding
    return model


def sinusoids(num_positions: int, size: int) -> torch.Tensor:
    """Where learned positions begin [num_positions, size]: neighbours differ in the same way everywhere.

    Random vectors would have to be told apart one by one before "the token before this one" has a meaning,
    and without that a model can't carry a name through a story.
    """
    frequencies = torch.exp(-math.log(num_positions) * torch.arange(size // 2) / (size // 2))
    angles = torch.arange(num_positions).unsqueeze(1) * frequencies
    return 0.1 * torch.cat([angles.sin(), angles.cos()], dim=1)


def row_length(step: int, done: float) -> int:
    """256 tokens, and long rows now and then near the end."""
    if done < LONG_FROM or step % 4:
        return 256
    return 2048 if step % 8 else 1024


def positions(rows: int, length: int, rng: random.Random) -> torch.Tensor:
    """Most rows begin at position 0, the others anywhere, so that all positions are trained."""
    starts = [0 if rng.random() < 0.7 else rng.randint(0, MAX_POSITIONS - length) for _ in range(rows)]
    return torch.tensor(starts).unsqueeze(1) + torch.arange(length)


def rate(done: float) -> float:
    """Learning rate as a share of its peak, for the share `done` of the time."""
    return min(1.0, done / WARM_UP + 0.01, (1.0 - done) / (1.0 - DECAY_FROM) + 0.001)


class Training:
    """A model with all that its training needs to go on: optimizers, mean weights and figures.

    With `bfloat16` the products are computed in it; weights and their updates stay float32.
    """

    def __init__(self, tokenizer: Tokenizer, mixture: Mixture, bfloat16: bool) -> None:
        self.bfloat16 = bfloat16
        self.tokenizer = tokenizer
        self.mixture = mixture
        self.model = new_model(tokenizer.get_vocab_size())
        self.optimizers = make_optimizers(self.model)
        self.peak_rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.step = 0
        self.elapsed_s = 0.0
        self.loss = 8.0  # smoothed, in nats a token

    def run(self, minutes: float, checkpoint: Path, pause: Path) -> None:
        """Train until `minutes` of processor time are used, which other work and pauses don't use up.

        Sleeps while the file `pause` exists. In the end the model has the mean of its last weights.
        """
        if checkpoint.exists():
            self._load(checkpoint)
        checkpoint_at_s = time.monotonic() + CHECKPOINT_S
        while self.elapsed_s < minutes * 60:
            while pause.exists():
                time.sleep(2)
            began_s = time.process_time()
            self._step(done=self.elapsed_s / (minutes * 60))
            self.elapsed_s += (time.process_time() - began_s) / torch.get_num_threads()
            if self.step % 50 == 0:
                print(f"step {self.step}, {self.elapsed_s / 60:.1f} min, loss {self.loss:.3f}", flush=True)
            if time.monotonic() > checkpoint_at_s:
                self._save(checkpoint)
                checkpoint_at_s = time.monotonic() + CHECKPOINT_S
        self._save(checkpoint)
        self.model.load_state_dict(self.average)

    def _step(self, done: float) -> None:
        """One step, `done` being the share of the time that is used."""
        length = row_length(self.step, done)
        ids = self.mixture.batch(self.tokenizer, self.step, TOKENS_PER_STEP // length, length)
        position_ids = positions(ids.size(0), length, random.Random(self.step))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            logits = self.model(input_ids=ids[:, :-1], position_ids=position_ids, use_cache=False).logits
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer, peak in zip(self.optimizers, self.peak_rates, strict=True):
            optimizer.param_groups[0]["lr"] = peak * rate(done)
            optimizer.step()
            optimizer.zero_grad()
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, MEAN_SHARE)
        self.step += 1
        self.loss += (loss.item() - self.loss) * MEAN_SHARE

    def _save(self, file: Path) -> None:
        saved = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": self.average,
            "state": {"step": self.step, "elapsed_s": self.elapsed_s, "loss": self.loss},
        }
        torch.save(saved, file.with_suffix(".new"))
        file.with_suffix(".new").replace(file)

    def _load(self, file: Path) -> None:
        saved = torch.load(file, weights_only=True)
        self.model.load_state_dict(saved["model"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.average = saved["average"]
        self.step, self.elapsed_s, self.loss = (saved["state"][key] for key in ("step", "elapsed_s", "loss"))
