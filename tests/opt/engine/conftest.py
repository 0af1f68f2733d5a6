"""Small OPT checkpoints with random weights, and engines that serve them without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from openaisle_opt import kernels
from openaisle_opt.engine import Engine
from openaisle_opt.loading import load_engine
from openaisle_opt.protocol import Failure, Prompt, Ready, Sampling, Submit, Token
from openaisle_opt.settings import EngineSettings
from transformers import OPTConfig, OPTForCausalLM

SHAPES: dict[str, dict[str, Any]] = {
    "125m": {},
    "350m": {"do_layer_norm_before": False, "word_embed_proj_dim": 32},
    "no-final-norm": {"_remove_final_layer_norm": True},
    "untied-gelu": {"tie_word_embeddings": False, "activation_function": "gelu"},
    "plain": {"enable_bias": False, "layer_norm_elementwise_affine": False},
}


def make_config(**changes: Any) -> OPTConfig:
    values: dict[str, Any] = {
        "vocab_size": 211,
        "hidden_size": 64,
        "ffn_dim": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "word_embed_proj_dim": 64,
        "max_position_embeddings": 128,
        "init_std": 0.25,
    }
    return OPTConfig(**(values | changes))


@dataclass
class Peer:
    """A checkpoint and transformers' own model of it, in float32."""

    path: Path
    model: OPTForCausalLM

    @torch.no_grad()
    def logits(self, token_ids: list[int]) -> torch.Tensor:
        """[n, V]"""
        return self.model(torch.tensor([token_ids])).logits[0]

    def greedy(self, token_ids: list[int], max_tokens: int) -> list[int]:
        token_ids = list(token_ids)
        for _ in range(max_tokens):
            token_ids.append(int(self.logits(token_ids)[-1].argmax()))
        return token_ids[-max_tokens:]


@pytest.fixture(scope="session")
def make_peer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Peer]:
    """Checkpoints by the name of their shape, made once."""
    peers: dict[str, Peer] = {}

    def make(shape: str) -> Peer:
        if shape not in peers:
            torch.manual_seed(17)
            model = OPTForCausalLM(make_config(**SHAPES[shape])).eval()
            with torch.no_grad():  # biases and norms start at 0 and 1, where mistakes do not show
                for parameter in model.parameters():
                    if parameter.dim() == 1:
                        parameter.add_(torch.randn_like(parameter) * 0.1)
            path = tmp_path_factory.mktemp(shape)
            model.save_pretrained(path)
            peers[shape] = Peer(path, model)
        return peers[shape]

    return make


@pytest.fixture(scope="session")
def peer(make_peer: Callable[[str], Peer]) -> Peer:
    return make_peer("125m")


@dataclass
class Result:
    """All that came of one request."""

    prompt: Prompt | None = None
    tokens: dict[int, list[Token]] = field(default_factory=dict)
    failure: Failure | None = None

    def token_ids(self, sample: int = 0) -> list[int]:
        return [token.token_id for token in self.tokens[sample]]


class Served:
    """An engine that is stepped by hand."""

    def __init__(self, engine: Engine, ready: Ready):
        self.engine = engine
        self.ready = ready
        self.results: dict[str, Result] = {}

    def submit(self, request_id: str, prompt: list[int], *, num_samples: int = 1, **sampling: Any) -> None:
        sampling = {"max_tokens": 16, "temperature": 0.0, "ignore_eos": True} | sampling
        self.results[request_id] = Result()
        self.engine.submit(Submit(request_id, prompt, Sampling(**sampling), num_samples))

    def step(self) -> None:
        step = self.engine.step()
        if step is None:
            return
        for prompt in step.prompts:
            assert self.results[prompt.request_id].prompt is None
            self.results[prompt.request_id].prompt = prompt
        for token in step.tokens:
            result = self.results[token.request_id]
            assert result.prompt is not None, "the prompt is told before its first token"
            result.tokens.setdefault(token.sample, []).append(token)
        for failure in step.failures:
            self.results[failure.request_id].failure = failure

    def finish(self) -> None:
        while self.engine.has_work:
            self.step()
        stats = self.engine.stats()
        assert (stats.num_running, stats.num_waiting) == (0, 0)
        assert stats.num_free_blocks == stats.num_blocks, "a block was not given back"

    def run(self, prompt: list[int], **parameters: Any) -> Result:
        """One request from beginning to end."""
        request_id = f"run-{len(self.results)}"
        self.submit(request_id, prompt, **parameters)
        self.finish()
        return self.results[request_id]

    def run_all(self, prompts: Iterable[list[int]], **parameters: Any) -> list[Result]:
        """Several at the same time."""
        prompts = list(prompts)
        names = [f"run-{len(self.results)}-{index}" for index in range(len(prompts))]
        for name, prompt in zip(names, prompts, strict=True):
            self.submit(name, prompt, **parameters)
        self.finish()
        return [self.results[name] for name in names]


def start(path: Path, on_lost: Callable[[str], None] = print, **settings: Any) -> Served:
    """An engine in float32 with room for everything, unless the settings say otherwise."""
    values: dict[str, Any] = {
        "dtype": "float32",
        "device": "cpu",
        "max_num_seqs": 16,
        "max_num_batched_tokens": 256,
        "kv_cache_gib": 0.05,
        "num_threads": 1,
    }
    return Served(*load_engine(EngineSettings(str(path), **(values | settings)), lambda *_: None, on_lost))


@pytest.fixture(scope="session")
def start_engine() -> Callable[..., Served]:
    return start


@pytest.fixture(params=["kernels", "torch"])
def operations(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test with the C++ kernels, where they are built, and with torch's own operations."""
    if request.param == "torch":
        monkeypatch.setattr(kernels, "available", lambda: False)
    elif not kernels.available():
        pytest.skip("the kernels are not built")
    return request.param


@pytest.fixture
def prompts() -> list[list[int]]:
    """Prompts of many lengths, around the block size of 16 too."""
    generator = torch.Generator().manual_seed(3)
    lengths = [1, 2, 5, 15, 16, 17, 31, 32, 33, 50, 64, 90]
    return [torch.randint(3, 211, (length,), generator=generator).tolist() for length in lengths]
