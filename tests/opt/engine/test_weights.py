"""Checkpoints in all their forms, and the sentences for those that cannot be served."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from openaisle_opt import kernels
from openaisle_opt.errors import CheckpointError, SettingsError
from openaisle_opt.loading import gpu_dtype, load_engine
from openaisle_opt.settings import EngineSettings
from safetensors.torch import load_file, save_file
from transformers import OPTConfig, OPTForCausalLM

PROMPT = [2, 50, 60, 70]


@pytest.fixture
def folder(peer, tmp_path) -> Path:
    """A copy of a good checkpoint, to be changed."""
    return Path(shutil.copytree(peer.path, tmp_path / "copy"))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_shards(folder: Path, single: str, save: Callable[[dict[str, torch.Tensor], Path], None]) -> None:
    state = tensors(folder)
    (folder / "model.safetensors").unlink()
    stem, suffix = single.split(".")
    weight_map = {}
    for number in range(3):
        names = sorted(state)[number::3]
        file = f"{stem}-{number + 1:05}-of-00003.{suffix}"
        save({name: state[name] for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    (folder / f"{single}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def as_bin(folder: Path) -> None:
    torch.save(tensors(folder), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def as_old_bin(folder: Path) -> None:
    torch.save(tensors(folder), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "model.safetensors").unlink()


def as_sharded_safetensors(folder: Path) -> None:
    write_shards(folder, "model.safetensors", lambda state, path: save_file(state, path))


def as_sharded_bin(folder: Path) -> None:
    write_shards(folder, "pytorch_model.bin", lambda state, path: torch.save(state, path))


def with_short_names(folder: Path) -> None:
    state = {name.removeprefix("model."): tensor for name, tensor in tensors(folder).items()}
    save_file(state, folder / "model.safetensors")


def with_a_copy_of_the_tied_head(folder: Path) -> None:
    state = tensors(folder)
    embedding = state["model.decoder.embed_tokens.weight"]
    save_file(state | {"lm_head.weight": embedding.clone()}, folder / "model.safetensors")


@pytest.mark.parametrize(
    "form",
    [
        as_bin,
        as_old_bin,
        as_sharded_safetensors,
        as_sharded_bin,
        with_short_names,
        with_a_copy_of_the_tied_head,
    ],
)
def test_every_form_of_a_checkpoint_gives_the_same_tokens(form, folder, peer, start_engine):
    form(folder)
    assert start_engine(folder).run(PROMPT, max_tokens=8).token_ids() == peer.greedy(PROMPT, 8)


@pytest.mark.usefixtures("operations")
@pytest.mark.parametrize(
    ("capability", "stored", "expected"),
    [
        ((3, 7), torch.float16, torch.float32),  # K80
        ((5, 2), torch.bfloat16, torch.float32),
        ((6, 1), torch.float16, torch.float16),
        ((7, 5), torch.bfloat16, torch.float16),
        ((8, 0), torch.bfloat16, torch.bfloat16),
        ((9, 0), torch.float16, torch.float16),
        ((10, 0), torch.float32, torch.float16),
    ],
)
def test_a_gpu_computes_in_what_it_has_arithmetic_for(capability, stored, expected):
    assert gpu_dtype(capability, stored) == expected


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.15), ("float16", 0.02)])
def test_half_precision_stays_near_float32(dtype, tolerance, peer, start_engine, prompts):
    engine = start_engine(peer.path, dtype=dtype)
    assert engine.ready.dtype == dtype
    for prompt in prompts[4:8]:
        result = engine.run(prompt, max_tokens=0, prompt_logprobs=0)
        logprobs = torch.log_softmax(peer.logits(prompt), dim=-1)
        expected = logprobs[torch.arange(len(prompt) - 1), prompt[1:]]
        actual = torch.tensor([entry.logprob for entry in result.prompt.logprobs[1:]])
        assert float((actual - expected).abs().mean()) < tolerance


def test_auto_takes_bfloat16_on_a_cpu_for_weights_stored_in_half_precision(folder, start_engine):
    assert start_engine(folder, dtype="auto").ready.dtype == "float32"
    change_config(folder, dtype="float16")
    assert start_engine(folder, dtype="auto").ready.dtype == "bfloat16"


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def with_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def bin_cut_short(folder: Path) -> None:
    as_bin(folder)
    path = folder / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-1000])


def bin_of_text(folder: Path) -> None:
    without_weights(folder)
    (folder / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1\n")


def without_a_shard(folder: Path) -> None:
    as_sharded_safetensors(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()


def without_a_tensor(folder: Path) -> None:
    state = tensors(folder)
    del state["model.decoder.layers.1.self_attn.k_proj.weight"]
    save_file(state, folder / "model.safetensors")


def with_a_wrong_shape(folder: Path) -> None:
    state = tensors(folder)
    state["model.decoder.layers.1.fc1.bias"] = torch.zeros(7)
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (without_config, "has no config.json"),
        (with_broken_config, "config.json cannot be read as JSON"),
        (lambda folder: change_config(folder, model_type="gpt2"), "type 'gpt2'; only 'opt'"),
        (lambda folder: change_config(folder, hidden_size="x"), "hidden_size = 'x'"),
        (lambda folder: change_config(folder, num_attention_heads=7), "with 7 attention heads"),
        (lambda folder: change_config(folder, enable_bias=3), "enable_bias = 3"),
        (lambda folder: change_config(folder, activation_function="swish"), "'swish'; known ones are"),
        (lambda folder: change_config(folder, vocab_size=300), "asks for \\[300, 64\\]"),
        (without_weights, "has no weights"),
        (cut_short, "model.safetensors is damaged or cut short"),
        (bin_cut_short, "pytorch_model.bin is damaged or cut short"),
        (bin_of_text, "pytorch_model.bin is damaged or cut short"),
        (without_a_shard, "model-00002-of-00003.safetensors is missing"),
        (without_a_tensor, "lack decoder.layers.1.self_attn.k_proj.weight"),
        (with_a_wrong_shape, "has decoder.layers.1.fc1.bias in the shape \\[7\\]"),
    ],
)
def test_what_cannot_be_served_is_named_in_one_sentence(damage, sentence, folder, start_engine):
    damage(folder)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        start_engine(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_model_len": 129}, "--max-model-len 129 .* at most 128"),
        ({"kv_cache_gib": 0.0001}, "give it more with --kv-cache-gib, or allow shorter ones"),
        ({"device": "cuda"}, "no GPU"),
    ],
)
def test_settings_that_do_not_go_with_the_model_are_named(settings, sentence, peer, start_engine):
    if settings.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SettingsError, match=sentence):
        start_engine(peer.path, **settings)


def test_a_model_that_cannot_fit_is_refused_before_it_is_read(folder, start_engine):
    change_config(folder, num_hidden_layers=10**9)
    with pytest.raises(SettingsError, match=r"take [\d.]+ GiB in float32, but [\d.]+ GiB of memory are free"):
        start_engine(folder)


def test_the_cache_is_no_larger_than_its_sequences_can_use(peer, start_engine):
    ready = start_engine(peer.path, kv_cache_gib=None, max_num_seqs=3, max_model_len=40).ready
    assert ready.num_blocks == 3 * 3


@pytest.mark.skipif(not kernels.available(), reason="the kernels are not built")
def test_packing_needs_no_second_copy_of_the_weights(tmp_path):
    shape = {"hidden_size": 512, "ffn_dim": 2048, "num_hidden_layers": 4, "num_attention_heads": 8}
    config = OPTConfig(word_embed_proj_dim=512, max_position_embeddings=64, vocab_size=8000, **shape)
    model = OPTForCausalLM(config)
    model.save_pretrained(tmp_path)
    embedding_bytes = model.model.decoder.embed_tokens.weight.nbytes
    # In a process of its own: this one's allocator may hold, or give back, what other tests have freed.
    program = Path(__file__).with_name("watch_loading.py")
    told = subprocess.run([sys.executable, program, tmp_path], stdout=subprocess.PIPE, check=True).stdout
    *sizes, parameter_bytes = json.loads(told)
    assert len(sizes) == 4 * 4 + 2, "each linear layer is packed, and the head"
    assert max(sizes) - sizes[0] < embedding_bytes * 1.5
    assert parameter_bytes < embedding_bytes / 2


def test_loading_tells_how_far_it_is(peer):
    told: list[tuple[str, float | None]] = []
    load_engine(EngineSettings(str(peer.path)), lambda phase, fraction: told.append((phase, fraction)))
    fractions = [fraction for _, fraction in told if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
