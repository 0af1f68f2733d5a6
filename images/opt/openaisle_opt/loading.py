"""Settings -> an engine that is ready: threads, dtype, device, weights, cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from . import kernels, machine
from .blocks import BlockPool
from .engine import Engine
from .errors import SettingsError
from .kv_cache import KVCache, choose_num_blocks
from .memory import GIB, dtype_size
from .model import OptConfig, Placement
from .protocol import Ready
from .runner import Runner
from .scheduler import Scheduler
from .settings import EngineSettings
from .weights import load_model, read_config, read_special_tokens, stored_dtype

_SMALL_HIDDEN_SIZE = 512
"""Up to here threads of torch wait for each other longer than they compute."""


def load_engine(
    settings: EngineSettings, progress: Callable[[str, float | None], None]
) -> tuple[Engine, Ready]:
    """Load a checkpoint.

    `progress` is told the phase and, for weights, how far it is (0 to 1).

    Raises:
        CheckpointError: the folder holds no OPT that can be read.
        SettingsError: a setting does not go with this model or this machine.
    """
    torch.set_grad_enabled(False)
    model_dir = Path(settings.model_dir)
    config = read_config(model_dir)
    bos_token_id, eos_token_ids = read_special_tokens(model_dir)
    max_model_len = _max_model_len(settings, config)
    place = choose_placement(settings, model_dir)
    _check_memory(config, place)
    num_threads = settings.num_threads or machine.usable_cores()
    torch.set_num_threads(num_threads)
    model = load_model(
        model_dir, config, place, lambda fraction: progress("loading the weights", round(fraction, 3))
    )
    if place.device.type == "cpu" and kernels.available():
        kernels.set_num_threads(num_threads)
        torch.set_num_threads(1)  # what is left for torch is small, and its idle threads would spin
    elif settings.num_threads is None and config.hidden_size <= _SMALL_HIDDEN_SIZE:
        torch.set_num_threads(1)
    progress("making room for the KV cache", None)
    num_blocks = choose_num_blocks(
        config,
        block_size=settings.block_size,
        dtype=place.dtype,
        max_model_len=max_model_len,
        max_num_seqs=settings.max_num_seqs,
        available_bytes=_available_bytes(place.device),
        kv_cache_gib=settings.kv_cache_gib,
    )
    cache = KVCache(config, num_blocks, settings.block_size, dtype=place.dtype, device=place.device)
    scheduler = Scheduler(
        BlockPool(num_blocks, settings.block_size),
        max_num_seqs=settings.max_num_seqs,
        max_num_batched_tokens=settings.max_num_batched_tokens,
        max_model_len=max_model_len,
        prefix_caching=settings.prefix_caching,
    )
    ready = Ready(
        vocab_size=config.vocab_size,
        max_model_len=max_model_len,
        eos_token_ids=eos_token_ids,
        bos_token_id=bos_token_id,
        dtype=str(place.dtype).removeprefix("torch."),
        device=str(place.device),
        num_blocks=num_blocks,
        block_size=settings.block_size,
        max_num_seqs=settings.max_num_seqs,
    )
    engine = Engine(
        scheduler, Runner(model, cache), vocab_size=config.vocab_size, eos_token_ids=eos_token_ids
    )
    return engine, ready


def _check_memory(config: OptConfig, place: Placement) -> None:
    """Refuse a model that cannot fit, before the system ends this process without a word.

    Raises:
        SettingsError: there is not enough memory for the weights.
    """
    needed = config.num_parameters * dtype_size(place.dtype)
    available = _available_bytes(place.device)
    if needed > available:
        raise SettingsError(
            f"The model's weights take {needed / GIB:.1f} GiB in {str(place.dtype).removeprefix('torch.')}, "
            f"but {available / GIB:.1f} GiB of memory are free; give it more memory, or choose a smaller "
            "model or --dtype."
        )


def _max_model_len(settings: EngineSettings, config: OptConfig) -> int:
    limit = config.max_position_embeddings
    if settings.max_model_len is None:
        return limit
    if settings.max_model_len > limit:
        raise SettingsError(
            f"--max-model-len {settings.max_model_len} is longer than the model's context; "
            f"give at most {limit}."
        )
    return settings.max_model_len


def choose_placement(settings: EngineSettings, model_dir: Path) -> Placement:
    """Device and dtype.

    "auto" takes a GPU where there is one, and there the half-precision dtype that the GPU computes
    in; on a CPU bfloat16 for weights stored in half precision, else float32.

    Raises:
        SettingsError: there is no such device.
    """
    has_cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not has_cuda:
        raise SettingsError("--device cuda was asked for, but torch sees no GPU here; use --device cpu.")
    device = torch.device("cuda" if has_cuda and settings.device != "cpu" else "cpu")
    if settings.dtype != "auto":
        return Placement(getattr(torch, settings.dtype), device)
    stored = stored_dtype(model_dir)
    if device.type == "cpu":
        return Placement(torch.float32 if stored == torch.float32 else torch.bfloat16, device)
    if stored == torch.float32:
        stored = torch.float16
    has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    return Placement(stored if has_bfloat16 else torch.float16, device)


def _available_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        return free_bytes
    return machine.available_memory_bytes()
