"""config.json and checkpoint files -> a model whose parameters are filled.

Tensors go one by one into parameters that already have their place and dtype, so no second copy of
the model is ever in memory; of what is divided between ranks each reads its part. Files are
`.safetensors` or `.bin`, in one piece or in shards with an index.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from . import old_torch
from .errors import CheckpointError
from .linear import ACTIVATIONS
from .model import DIVIDED, FUSED, OptConfig, OptForCausalLM, Placement

_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_PREFIXES = ("model.decoder.", "decoder.")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the checkpoint."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} has no {path.name}; name a folder with an OPT model in Hugging Face's layout."
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}); fetch it again.") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object; fetch it again.")
    return value


def read_config(model_dir: Path) -> OptConfig:
    """The shape of the model, checked.

    Raises:
        CheckpointError: there is no config.json, it is not OPT's, or a value makes no sense.
    """
    path = model_dir / "config.json"
    raw = read_json(path)
    if raw.get("model_type") != "opt":
        raise CheckpointError(
            f"{path} describes a model of type '{raw.get('model_type')}'; only 'opt' can be served."
        )

    def size(name: str, default: int | None = None) -> int:
        value = raw.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise CheckpointError(f"{path} says {name} = {value!r}; it must be a whole number above 0.")
        return value

    def flag(name: str, default: bool) -> bool:
        value = raw.get(name, default)
        if not isinstance(value, bool):
            raise CheckpointError(f"{path} says {name} = {value!r}; it must be true or false.")
        return value

    hidden_size = size("hidden_size", 768)
    config = OptConfig(
        vocab_size=size("vocab_size", 50272),
        hidden_size=hidden_size,
        ffn_dim=size("ffn_dim", 3072),
        num_hidden_layers=size("num_hidden_layers", 12),
        num_attention_heads=size("num_attention_heads", 12),
        max_position_embeddings=size("max_position_embeddings", 2048),
        word_embed_proj_dim=size("word_embed_proj_dim", hidden_size),
        do_layer_norm_before=flag("do_layer_norm_before", True),
        remove_final_layer_norm=flag("_remove_final_layer_norm", False),
        activation_function=raw.get("activation_function", "relu"),
        enable_bias=flag("enable_bias", True),
        layer_norm_elementwise_affine=flag("layer_norm_elementwise_affine", True),
        tie_word_embeddings=flag("tie_word_embeddings", True),
    )
    if config.hidden_size % config.num_attention_heads:
        raise CheckpointError(
            f"{path} says hidden_size = {config.hidden_size} with {config.num_attention_heads} attention "
            "heads; the one must be a multiple of the other."
        )
    if config.activation_function not in ACTIVATIONS:
        raise CheckpointError(
            f"{path} says activation_function = {config.activation_function!r}; known ones are "
            f"{', '.join(ACTIVATIONS)}."
        )
    return config


def read_special_tokens(model_dir: Path) -> tuple[int, list[int]]:
    """The token that begins a document, and those that end one."""
    config = read_json(model_dir / "config.json")
    generation_path = model_dir / "generation_config.json"
    generation = read_json(generation_path) if generation_path.exists() else {}
    eos = generation.get("eos_token_id", config.get("eos_token_id", 2))
    bos = generation.get("bos_token_id", config.get("bos_token_id", 2))
    eos_ids = eos if isinstance(eos, list) else [eos]
    return (bos if isinstance(bos, int) else 2), [token for token in eos_ids if isinstance(token, int)]


def stored_dtype(model_dir: Path) -> torch.dtype:
    """The dtype that config.json says the weights are in; float32 if it says nothing."""
    config = read_json(model_dir / "config.json")
    return _DTYPES.get(str(config.get("dtype", config.get("torch_dtype"))), torch.float32)


def find_files(model_dir: Path) -> list[Path]:
    """The checkpoint's weight files: safetensors if there are any, else `.bin`.

    Raises:
        CheckpointError: there are none, or one that the index names is missing.
    """
    for single in _SINGLE_FILES:
        if (model_dir / single).is_file():
            return [model_dir / single]
        index_path = model_dir / f"{single}.index.json"
        if index_path.is_file():
            weight_map = read_json(index_path).get("weight_map")
            if not isinstance(weight_map, dict) or not weight_map:
                raise CheckpointError(f"{index_path} has no weight_map; fetch it again.")
            files = [model_dir / str(name) for name in sorted(set(map(str, weight_map.values())))]
            for file in files:
                if not file.is_file():
                    raise CheckpointError(f"{file} is missing, though {index_path.name} names it; fetch it.")
            return files
    raise CheckpointError(
        f"{model_dir} has no weights: neither {' nor '.join(_SINGLE_FILES)}, nor an index of shards."
    )


def iterate_tensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and tensor of everything in one file, on the CPU and mapped from the file where possible.

    Raises:
        CheckpointError: the file is damaged or cut short.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a dict
                    yield name, file.get_tensor(name)
        else:
            yield from _load_bin(path).items()
    except CheckpointError:
        raise
    except Exception as error:  # the two libraries raise a dozen kinds for a damaged file
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise CheckpointError(f"{path} is damaged or cut short ({reason}); fetch it again.") from error


def _load_bin(path: Path) -> dict[str, torch.Tensor]:
    if "weights_only" not in inspect.signature(torch.load).parameters:
        state = old_torch.load_tensors(path)
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (TypeError, RuntimeError):  # an older torch, or a file in the format from before torch 1.6
            state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} holds no table of tensors; it is no checkpoint.")
    return {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}


def load_model(
    model_dir: Path,
    config: OptConfig,
    place: Placement,
    progress: Callable[[float], None] = lambda fraction: None,
) -> OptForCausalLM:
    """The model with its weights, packed and ready.

    `progress` is told the share of the weights that is loaded.

    Raises:
        CheckpointError: a tensor is missing or has another shape than config.json says, or a file
            cannot be read.
    """
    model = OptForCausalLM(config, place)
    _fill(model, model_dir, progress)  # and forget every tensor: packing frees each weight that it has packed
    model.pack()
    return model


def _fill(model: OptForCausalLM, model_dir: Path, progress: Callable[[float], None]) -> None:
    """Copy the checkpoint's tensors to the model's parameters."""
    ranks = model.place.ranks
    targets = _targets(model)
    missing = set(targets)
    total = sum(target.numel() for target in targets.values())
    loaded = 0
    for path in find_files(model_dir):
        for name, tensor in iterate_tensors(path):
            name = _canonical(name)
            if name not in missing:
                continue  # a tied head, or a buffer of another program
            target = targets[name]
            shape = list(target.shape)
            dimension = _divided_dimension(name, target)
            if dimension is not None:
                shape[dimension] *= ranks.size
            if shape != list(tensor.shape):
                raise CheckpointError(
                    f"{path} has {name} in the shape {list(tensor.shape)}, but config.json asks for "
                    f"{shape}; the two belong to different models."
                )
            target.copy_(tensor if dimension is None else ranks.part(tensor, dimension))
            missing.remove(name)
            loaded += target.numel()
            progress(loaded / total)
    if missing:
        first, *rest = sorted(missing)
        others = f" and {len(rest)} more tensors" if rest else ""
        raise CheckpointError(f"The weights in {model_dir} lack {first}{others}; fetch the checkpoint again.")


def _canonical(name: str) -> str:
    """The name of a tensor without what comes before the decoder's own names."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return "decoder." + name[len(prefix) :]
    return name


def _divided_dimension(name: str, target: torch.Tensor) -> int | None:
    """The dimension in which a tensor of the checkpoint is divided between ranks, None if it is not."""
    dimension = DIVIDED.get(name.split(".")[-2])
    return dimension if dimension is None or dimension < target.dim() else None


def _targets(model: OptForCausalLM) -> dict[str, torch.Tensor]:
    """Where each of the checkpoint's tensors goes: a parameter, or rows of a fused one."""
    targets = {}
    for name, parameter in model.named_parameters():  # a tied head does not appear a second time
        path, _, leaf = name.rpartition(".")
        owner, _, module = path.rpartition(".")
        if module in FUSED:
            parts = FUSED[module]
            for part, rows in zip(parts, parameter.detach().chunk(len(parts)), strict=True):
                targets[f"{owner}.{part}.{leaf}"] = rows
        else:
            targets[name] = parameter.detach()
    return targets
