"""A model divided between processes, against the same in one. gloo adds up here what NCCL does on GPUs."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from openaisle_opt import kernels, loading
from openaisle_opt.errors import EngineError, SettingsError
from openaisle_opt.model import OptForCausalLM, Placement
from openaisle_opt.ranks import Ranks
from openaisle_opt.weights import load_model, read_config
from safetensors.torch import load_file

PATIENCE_S = 60


@pytest.fixture
def divide(start_engine) -> Iterator[Callable[..., Any]]:
    """Starts an engine on several ranks. One at a time: a process belongs to one group of ranks."""
    engines = []

    def divide(path: Path, num_ranks: int = 2, **settings: Any) -> Any:
        served = start_engine(path, tensor_parallel_size=num_ranks, **settings)
        engines.append(served.engine)
        return served

    yield divide
    for engine in engines:
        engine.close()


@pytest.mark.parametrize(("shape", "num_ranks"), [("125m", 4), ("350m", 2), ("untied-gelu", 2), ("plain", 2)])
def test_tokens_and_scores_are_those_of_one_rank(shape, num_ranks, make_peer, start_engine, divide, prompts):
    path = make_peer(shape).path
    alone, divided = start_engine(path), divide(path, num_ranks)
    for parameters in ({"max_tokens": 12, "logprobs": 2}, {"max_tokens": 0, "prompt_logprobs": 2}):
        expected, results = (served.run_all(prompts, **parameters) for served in (alone, divided))
        for one, other in zip(expected, results, strict=True):
            assert [token.token_id for token in other.tokens.get(0, [])] == [
                token.token_id for token in one.tokens.get(0, [])
            ]
            for ours, theirs in zip(scores(other), scores(one), strict=True):
                assert ours == pytest.approx(theirs, abs=1e-4)


def scores(result: Any) -> list[list[float]]:
    """The log-probabilities of a result, by token."""
    entries = [token.logprobs for token in result.tokens.get(0, [])] + (result.prompt.logprobs or [])
    return [entry.top_logprobs for entry in entries if entry is not None]


def test_parts_of_prompts_shared_blocks_and_preemption_go_to_all_ranks(peer, start_engine, divide, prompts):
    """A step of 24 tokens cuts prompts, samples part within a block, and 14 blocks are too few for all."""
    narrow = {
        "max_num_batched_tokens": 24,
        "kv_cache_gib": 14 * 16 * 2 * 3 * 64 * 4 / 2**30,
        "max_model_len": 128,
    }
    results = []
    for served in (start_engine(peer.path, **narrow), divide(peer.path, **narrow)):
        for name, prompt in enumerate(prompts):
            served.submit(str(name), prompt, num_samples=3, max_tokens=20, temperature=1.0, seed=name)
        served.finish()
        assert served.engine.stats().num_preemptions > 0
        results.append(
            {name: [result.token_ids(i) for i in range(3)] for name, result in served.results.items()}
        )
    assert results[0] == results[1]


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_each_rank_reads_its_part_of_the_checkpoint(suffix, make_peer, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "available", lambda: False)  # their form of a weight is hard to look into
    peer = make_peer("350m")
    whole = load_file(peer.path / "model.safetensors")
    path = peer.path
    if suffix == ".bin":
        path = tmp_path
        (path / "config.json").write_bytes((peer.path / "config.json").read_bytes())
        torch.save(whole, path / "pytorch_model.bin")
    layer = "model.decoder.layers.1."
    parts = [OptForCausalLM.state_dict(load_plain(path, Ranks(rank, 2))) for rank in range(2)]
    for module in ("fc1.weight", "fc1.bias"):
        both = torch.cat([part[f"decoder.layers.1.{module}"] for part in parts])
        assert torch.equal(both, whole[layer + module])
    for module in ("fc2", "self_attn.out_proj"):
        both = torch.cat([part[f"decoder.layers.1.{module}.weight"] for part in parts], dim=1)
        assert torch.equal(both, whole[f"{layer}{module}.weight"])
        assert torch.equal(parts[0][f"decoder.layers.1.{module}.bias"], whole[f"{layer}{module}.bias"])
        assert f"decoder.layers.1.{module}.bias" not in parts[1], "it would be added twice"
    for number, name in enumerate(("q_proj", "k_proj", "v_proj")):
        fused = [part["decoder.layers.1.self_attn.qkv_proj.weight"].chunk(3)[number] for part in parts]
        assert torch.equal(torch.cat(fused), whole[f"{layer}self_attn.{name}.weight"])


def load_plain(path: Path, ranks: Ranks) -> OptForCausalLM:
    return load_model(path, read_config(path), Placement(torch.float32, torch.device("cpu"), ranks))


def test_a_rank_that_is_killed_ends_the_engine(peer, divide):
    lost: queue.SimpleQueue[str] = queue.SimpleQueue()
    served = divide(peer.path, on_lost=lost.put)
    assert len(served.run([2, 5, 7], max_tokens=3).token_ids()) == 3
    workers = served.engine._runner._workers
    os.kill(workers._processes[0].pid, signal.SIGKILL)
    assert lost.get(timeout=PATIENCE_S).startswith(
        "Rank 1 of 2 was killed, most likely because memory ran out"
    )
    served.submit("after", [2, 5, 7])
    with pytest.raises(EngineError, match=r"^Rank 1 of 2 was killed"):
        served.step()


def test_a_rank_that_cannot_load_says_why(peer, divide, monkeypatch, tmp_path):
    """Its files are gone when it wants them."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((peer.path / name).read_bytes())
    check = loading._check_ranks

    def check_and_remove(*arguments: Any) -> None:
        check(*arguments)
        (tmp_path / "config.json").unlink()

    monkeypatch.setattr(loading, "_check_ranks", check_and_remove)
    with pytest.raises(EngineError, match=r"^Rank 1 of 2: .* has no config.json; name a folder"):
        divide(tmp_path)


@pytest.mark.parametrize(
    ("num_gpus", "device", "num_ranks", "sentence"),
    [
        (0, "auto", 2, "--tensor-parallel-size 2 needs 2 GPUs, but torch sees none here; leave it out."),
        (
            0,
            "cpu",
            3,
            "--tensor-parallel-size 3 does not divide the model's 4 attention heads and 96 inner features "
            "evenly; sizes that do are 1, 2, 4.",
        ),
        (
            3,
            "auto",
            3,
            "--tensor-parallel-size 3 does not divide the model's 4 attention heads and 96 inner features "
            "evenly; sizes that do are 1, 2.",
        ),
        (3, "cuda", 4, "--tensor-parallel-size 4 needs 4 GPUs, but torch sees 3 here; give at most 2."),
        (1, "auto", 2, "--tensor-parallel-size 2 needs 2 GPUs, but torch sees 1 here; give at most 1."),
    ],
)
def test_a_size_that_cannot_be_is_refused(
    num_gpus, device, num_ranks, sentence, peer, start_engine, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    with pytest.raises(SettingsError) as raised:
        start_engine(peer.path, device=device, tensor_parallel_size=num_ranks)
    assert str(raised.value) == sentence


def test_a_model_that_outgrows_its_ranks_is_refused(peer, monkeypatch):
    """Each rank's part is measured against its own GPU."""
    config = read_config(peer.path)
    monkeypatch.setattr(loading, "available_bytes", lambda device: 4 * config.num_parameters(2))
    loading._check_memory(config, Placement(torch.float32, torch.device("cuda", 1), Ranks(1, 2)))
    with pytest.raises(SettingsError, match=r"give it more GPUs \(--tensor-parallel-size\)"):
        loading._check_memory(config, Placement(torch.float32, torch.device("cuda"), Ranks()))
    with pytest.raises(SettingsError, match=r"on each of 2 ranks in float32"):
        loading._check_memory(config, Placement(torch.float32, torch.device("cpu"), Ranks(0, 2)))
