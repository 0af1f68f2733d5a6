"""Settings -> an engine that is ready: threads, dtype, device, weights, cache."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from . import kernels, machine
from .blocks import BlockPool
from .engine import Engine
from .errors import SettingsError
from .forward import Forward
from .kv_cache import KVCache, choose_num_blocks
from .memory import GIB, dtype_name, dtype_size
from .model import OptConfig, OptForCausalLM, Placement
from .protocol import Ready
from .ranks import Ranks, join
from .runner import Runner
from .scheduler import Scheduler
from .settings import EngineSettings
from .weights import load_model, read_config, read_special_tokens, stored_dtype
from .workers import Workers

_SMALL_HIDDEN_SIZE = 512
"""Up to here threads of torch wait for each other longer than they compute."""


def load_engine(
    settings: EngineSettings,
    progress: Callable[[str, float | None], None],
    on_lost: Callable[[str], None] = lambda reason: None,
) -> tuple[Engine, Ready]:
    """Load a checkpoint, on all ranks. `close` of the engine ends those that are processes of their own.

    `progress` is told the phase and, for weights, how far it is (0 to 1). `on_lost` is told, from another
    thread, why one of the other ranks ended: the engine cannot go on then, and a step may never return.

    Raises:
        CheckpointError: the folder holds no OPT that can be read.
        SettingsError: a setting does not go with this model or this machine.
        EngineError: another rank has ended.
    """
    model_dir = Path(settings.model_dir)
    config = read_config(model_dir)
    bos_token_id, eos_token_ids = read_special_tokens(model_dir)
    max_model_len = _max_model_len(settings, config)
    num_ranks = settings.tensor_parallel_size
    place = choose_placement(settings, model_dir, Ranks(0, num_ranks))
    _check_ranks(settings, config, place)
    with contextlib.ExitStack() as undo:
        workers = None
        if num_ranks > 1:
            progress("starting a process for each rank", None)
            chosen = dataclasses.replace(settings, dtype=dtype_name(place.dtype), device=place.device.type)
            workers = Workers(chosen, on_lost)
            undo.callback(workers.close)
            workers.gather()
            join(place.ranks, workers.folder, place.device)

        def report(fraction: float) -> None:
            slowest = min([fraction, *workers.fractions]) if workers else fraction
            progress("loading the weights", round(slowest, 3))

        model = load_part(settings, config, place, report)
        room = available_bytes(place.device)
        if workers is not None:
            room_of_others = workers.gather(lambda: report(1.0))
            if place.device.type == "cuda":  # each has its own memory, and gives as much as the others
                room = num_ranks * min(room, *room_of_others)
        progress("making room for the KV cache", None)
        num_blocks = choose_num_blocks(
            config,
            block_size=settings.block_size,
            dtype=place.dtype,
            max_model_len=max_model_len,
            max_num_seqs=settings.max_num_seqs,
            available_bytes=room,
            kv_cache_gib=settings.kv_cache_gib,
        )
        if workers is not None:
            workers.send(num_blocks)
        cache = KVCache(config, num_blocks, settings.block_size, place)
        if workers is not None:
            workers.gather()
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
            dtype=dtype_name(place.dtype),
            device=place.device.type if num_ranks == 1 else f"{num_ranks} x {place.device.type}",
            num_blocks=num_blocks,
            block_size=settings.block_size,
            max_num_seqs=settings.max_num_seqs,
        )
        runner = Runner(Forward(model, cache), workers)
        engine = Engine(scheduler, runner, vocab_size=config.vocab_size, eos_token_ids=eos_token_ids)
        undo.pop_all()
    return engine, ready


def load_part(
    settings: EngineSettings, config: OptConfig, place: Placement, progress: Callable[[float], None]
) -> OptForCausalLM:
    """This rank's part of the model; `progress` is told how far it is (0 to 1).

    Raises:
        CheckpointError: the folder holds no OPT that can be read.
        SettingsError: there is not enough memory.
    """
    torch.set_grad_enabled(False)
    _check_memory(config, place)
    num_threads = settings.num_threads or machine.usable_cores()
    if place.device.type == "cpu":
        num_threads = max(1, num_threads // place.ranks.size)
    torch.set_num_threads(num_threads)
    model = load_model(Path(settings.model_dir), config, place, progress)
    if place.device.type == "cpu" and kernels.available():
        kernels.set_num_threads(num_threads)
        torch.set_num_threads(1)  # what is left for torch is small, and its idle threads would spin
    elif settings.num_threads is None and config.hidden_size <= _SMALL_HIDDEN_SIZE:
        torch.set_num_threads(1)
    return model


def _check_ranks(settings: EngineSettings, config: OptConfig, place: Placement) -> None:
    """See that there is a GPU for each rank, and that the model can be divided between them.

    Raises:
        SettingsError: what is wrong.
    """
    num_ranks = place.ranks.size
    if num_ranks == 1:
        return
    option = f"--tensor-parallel-size {num_ranks}"
    limit = config.num_attention_heads
    if place.device.type == "cuda":
        limit = torch.cuda.device_count()
    elif settings.device != "cpu":
        raise SettingsError(f"{option} needs {num_ranks} GPUs, but torch sees none here; leave it out.")
    fitting = [
        size
        for size in range(1, limit + 1)
        if config.num_attention_heads % size == 0 and config.ffn_dim % size == 0
    ]
    if place.device.type == "cuda" and num_ranks > limit:
        raise SettingsError(
            f"{option} needs {num_ranks} GPUs, but torch sees {limit} here; give at most {fitting[-1]}."
        )
    if num_ranks not in fitting:
        raise SettingsError(
            f"{option} does not divide the model's {config.num_attention_heads} attention heads and "
            f"{config.ffn_dim} inner features evenly; sizes that do are {', '.join(map(str, fitting))}."
        )


def _check_memory(config: OptConfig, place: Placement) -> None:
    """Refuse a model that cannot fit, before the system ends this process without a word.

    Raises:
        SettingsError: there is not enough memory for the weights.
    """
    num_ranks = place.ranks.size
    needed = config.num_parameters(num_ranks) * dtype_size(place.dtype)
    available = available_bytes(place.device)
    if place.device.type == "cpu":
        available //= num_ranks
    if needed > available:
        share = "" if num_ranks == 1 else f" on each of {num_ranks} ranks"
        more = "more GPUs (--tensor-parallel-size)" if place.device.type == "cuda" else "more memory"
        raise SettingsError(
            f"The model's weights take {needed / GIB:.1f} GiB{share} in {dtype_name(place.dtype)}, but "
            f"{available / GIB:.1f} GiB of memory are free; give it {more}, or choose a smaller model or "
            "--dtype."
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


def choose_placement(settings: EngineSettings, model_dir: Path, ranks: Ranks) -> Placement:
    """Device and dtype.

    "auto" takes a GPU where there is one, and there what `gpu_dtype` says; on a CPU bfloat16 for weights
    stored in half precision, else float32.

    Raises:
        SettingsError: there is no such device.
    """
    has_cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not has_cuda:
        raise SettingsError("--device cuda was asked for, but torch sees no GPU here; use --device cpu.")
    device = torch.device("cpu")
    if has_cuda and settings.device != "cpu":
        device = torch.device("cuda", ranks.rank) if ranks.size > 1 else torch.device("cuda")
    if settings.dtype != "auto":
        return Placement(getattr(torch, settings.dtype), device, ranks)
    stored = stored_dtype(model_dir)
    if device.type == "cpu":
        return Placement(torch.float32 if stored == torch.float32 else torch.bfloat16, device, ranks)
    return Placement(gpu_dtype(torch.cuda.get_device_capability(device), stored), device, ranks)


def gpu_dtype(capability: tuple[int, int], stored: torch.dtype) -> torch.dtype:
    """What a GPU of this compute capability computes in, for weights stored as `stored`.

    Arithmetic in float16 came with 6.0, in bfloat16 with 8.0 (CUDA C++ Programming Guide, "Arithmetic
    Instructions"). Weights in float32 are rounded: their digits are not worth half of the speed.
    """
    if capability < (6, 0):
        return torch.float32
    return torch.bfloat16 if stored == torch.bfloat16 and capability >= (8, 0) else torch.float16


def available_bytes(device: torch.device) -> int:
    """Memory that is free on a device now."""
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        return free_bytes
    return machine.available_memory_bytes()
