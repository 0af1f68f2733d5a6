"""What the program was told to do: read and checked once, at start."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import __version__
from .errors import SettingsError

BUNDLED_MODEL_NAME = "openaisle/tiny-opt"
BUNDLED_MODEL_DIR = Path(__file__).resolve().parent.parent / "models" / "tiny-opt"

DTYPES = ("auto", "float32", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class EngineSettings:
    """What the engine process is started with: plain values that travel to another process."""

    model_dir: str
    """A folder with config.json and weights in Hugging Face's layout."""
    dtype: str = "auto"
    """One of `DTYPES`."""
    device: str = "auto"
    """One of `DEVICES`."""
    max_model_len: int | None = None
    """Prompt and completion together, in tokens; None takes the checkpoint's own limit."""
    max_num_seqs: int = 64
    """Sequences that run at the same time."""
    max_num_batched_tokens: int = 2048
    """Tokens computed in one step of the engine."""
    block_size: int = 16
    """Tokens in a block of the KV cache."""
    kv_cache_gib: float | None = None
    """None takes a share of the memory that is free."""
    prefix_caching: bool = True
    num_threads: int | None = None
    """Threads for one operation; None takes the cores that this process may use."""


@dataclass(frozen=True)
class Settings:
    """Everything the command line says."""

    host: str = "0.0.0.0"
    port: int = 8000
    """0 lets the system choose a free port."""
    model: str = str(BUNDLED_MODEL_DIR)
    """A folder, or the id of a model on the Hub."""
    revision: str | None = None
    """Branch, tag or commit of a model on the Hub."""
    served_model_name: str = BUNDLED_MODEL_NAME
    """The id that clients send as `model`."""
    dtype: str = "auto"
    device: str = "auto"
    max_model_len: int | None = None
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 2048
    kv_cache_gib: float | None = None
    block_size: int = 16
    prefix_caching: bool = True
    max_waiting: int = 512
    """Sequences that may wait beyond `max_num_seqs` before a request is refused with 429."""
    num_threads: int | None = None
    grace_period_s: float = 60.0
    """How long running requests may take to finish after SIGTERM."""
    max_body_bytes: int = 4 * 1024 * 1024
    download_dir: str | None = None
    """Where models from the Hub are kept; None is the Hub client's own cache."""
    log_level: str = "info"

    def engine(self, model_dir: str) -> EngineSettings:
        """The engine's part, for the folder that `model` turned out to be."""
        return EngineSettings(
            model_dir=model_dir,
            dtype=self.dtype,
            device=self.device,
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
            block_size=self.block_size,
            kv_cache_gib=self.kv_cache_gib,
            prefix_caching=self.prefix_caching,
            num_threads=self.num_threads,
        )


def parse_settings(arguments: Sequence[str]) -> Settings:
    """Read the command line.

    Raises:
        SettingsError: a value is out of range or not of its kind.
        SystemExit: for `--help` and `--version`.
    """
    values = vars(_parser().parse_args(arguments))
    if values["served_model_name"] is None:
        values["served_model_name"] = _default_model_name(values["model"])
    return Settings(**values)


def _default_model_name(model: str) -> str:
    """The id of a Hub model as it is; the name of a folder, unless it is the bundled one."""
    path = Path(model).expanduser()
    if path.is_dir():
        path = path.resolve()
        return BUNDLED_MODEL_NAME if path == BUNDLED_MODEL_DIR else path.name
    if looks_like_a_path(model):
        return path.name
    return model.partition("@")[0]


def looks_like_a_path(model: str) -> bool:
    """Whether `model` can only mean a folder, so that the Hub need not be asked."""
    return model.startswith(("/", "./", "../", "~")) or model in (".", "..") or os.path.isdir(model)


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are our own errors: one sentence, exit code 1."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise SettingsError(f"{message[:1].upper()}{message[1:]}; --help lists the options.")


def _number(kind: type, minimum: float, maximum: float, unit: str) -> object:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number of {unit}") from None
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(
                f"{text} {unit} is out of range ({minimum:g} to {maximum:g})"
            )
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = _Parser(
        prog="serve-opt.py",
        description="Serve one OPT model behind OpenAI's completions API, without authentication.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    count = 2**31 - 1
    add = parser.add_argument
    add("--version", action="version", version=f"openaisle-opt {__version__}")
    add("--host", default=default.host, help="address to listen on")
    add("--port", type=_number(int, 0, 65535, "as a port"), default=default.port, help="0 takes a free one")  # type: ignore[arg-type]
    return parser
