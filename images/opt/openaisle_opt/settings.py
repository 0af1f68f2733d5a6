"""What the program was told to do: read and checked once, at start."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

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
    max_num_batched_tokens: int = 512
    """Tokens computed in one step of the engine."""
    block_size: int = 16
    """Tokens in a block of the KV cache."""
    kv_cache_gib: float | None = None
    """None takes a share of the memory that is free."""
    prefix_caching: bool = True
    num_threads: int | None = None
    """Threads for one operation; None takes the cores that this process may use."""
    tensor_parallel_size: int = 1
    """GPUs, or with `device` "cpu" processes, between which each layer is divided."""


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
    chat_template: str | None = None
    """A file with the template that makes a text of a chat; None takes the checkpoint's own, if any."""
    dtype: str = "auto"
    device: str = "auto"
    max_model_len: int | None = None
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 512
    kv_cache_gib: float | None = None
    block_size: int = 16
    prefix_caching: bool = True
    max_waiting: int = 512
    """Sequences that may wait beyond `max_num_seqs` before a request is refused with 429."""
    num_threads: int | None = None
    tensor_parallel_size: int = 1
    request_timeout_s: float = 0.0
    """How long an answer may take before it ends with 504; 0 sets no limit."""
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
            tensor_parallel_size=self.tensor_parallel_size,
        )


def parse_settings(arguments: Sequence[str]) -> Settings:
    """Read the command line.

    Raises:
        SettingsError: a value is out of range or not of its kind.
        SystemExit: for `--help` and `--version`.
    """
    values = vars(_parser().parse_args(arguments))
    model: str = values["model"]
    if not is_folder(model) and "@" in model:
        model, _, revision = model.partition("@")
        if values["revision"] not in (None, revision):
            raise SettingsError(
                f"--model names the revision '{revision}' and --revision "
                f"'{values['revision']}'; give one of them."
            )
        values.update(model=model, revision=revision)
    if values["served_model_name"] is None:
        values["served_model_name"] = _default_model_name(model)
    return Settings(**values)


def is_folder(model: str) -> bool:
    """Whether `model` can only mean a folder, or a file taken for one, so that the Hub need not be asked."""
    return model.startswith(("/", "./", "../", "~")) or model in (".", "..") or os.path.exists(model)


def _default_model_name(model: str) -> str:
    """The id of a Hub model as it is; the name of a folder, unless it is the bundled one."""
    if not is_folder(model):
        return model
    path = Path(os.path.expanduser(model)).resolve()
    return BUNDLED_MODEL_NAME if path == BUNDLED_MODEL_DIR else path.name


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are our own errors: one sentence, exit code 1."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message[:1].upper()}{message[1:]}; --help lists the options.")


def number(kind: type, minimum: float, maximum: float) -> Callable[[str], float]:
    """A reader for one option that names the value and the bounds it missed."""

    def read(text: str) -> float:
        try:
            value = float(kind(text))
        except (ValueError, OverflowError):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"'{text}' is not {what}") from None
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f"{text} is not between {minimum:.10g} and {maximum:.10g}")
        return int(value) if kind is int else value

    return read


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("the name is empty or has unprintable characters")
    return text


def _file(text: str) -> str:
    if not Path(text).expanduser().is_file():
        raise argparse.ArgumentTypeError(f"there is no file '{text}'")
    return text


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = Parser(
        prog="serve-opt.py",
        description="Serve one OPT model behind OpenAI's completions API, without authentication.",
        epilog="HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured for models on the Hub.",
        allow_abbrev=False,
    )
    count = number(int, 1, 2**31 - 1)
    add = parser.add_argument
    add("--version", action="version", version=f"openaisle-opt {__version__}")
    add("--host", default=default.host, metavar="ADDRESS", help=f"address to listen on ({default.host})")
    add(
        "--port",
        type=number(int, 0, 65535),
        default=default.port,
        metavar="N",
        help=f"port to listen on; 0 takes a free one ({default.port})",
    )
    add(
        "--model",
        default=default.model,
        metavar="FOLDER-OR-ID",
        help="a folder with an OPT checkpoint, or the id of one on the Hub, as in facebook/opt-125m or "
        f"facebook/opt-125m@REVISION (the bundled {BUNDLED_MODEL_NAME})",
    )
    add("--revision", metavar="NAME", help="branch, tag or commit of a model on the Hub (main)")
    add(
        "--served-model-name",
        type=_name,
        metavar="NAME",
        help="the id that clients send as model (the Hub's id, or the folder's name)",
    )
    add(
        "--chat-template",
        type=_file,
        metavar="FILE",
        help="a Jinja2 template, as Hugging Face's chat_template, by which the model takes "
        "/v1/chat/completions (the checkpoint's own, if it has one)",
    )
    add(
        "--dtype",
        choices=DTYPES,
        default=default.dtype,
        help="numbers of the weights; auto takes bfloat16 on a CPU, the checkpoint's on a GPU (auto)",
    )
    add("--device", choices=DEVICES, default=default.device, help="where the model runs (auto)")
    add(
        "--max-model-len",
        type=count,
        metavar="TOKENS",
        help="longest prompt and completion together (the checkpoint's limit)",
    )
    add(
        "--max-num-seqs",
        type=count,
        default=default.max_num_seqs,
        metavar="N",
        help=f"sequences that run at the same time ({default.max_num_seqs})",
    )
    add(
        "--max-num-batched-tokens",
        type=count,
        default=default.max_num_batched_tokens,
        metavar="TOKENS",
        help=f"tokens computed in one step ({default.max_num_batched_tokens})",
    )
    add(
        "--max-waiting",
        type=number(int, 0, 2**31 - 1),
        default=default.max_waiting,
        metavar="N",
        help="sequences that may wait beyond --max-num-seqs before requests are answered with 429 "
        f"({default.max_waiting})",
    )
    add(
        "--kv-cache-gib",
        type=number(float, 0.001, 65536),
        metavar="GIB",
        help="memory for keys and values, in GiB (a share of what is free)",
    )
    add(
        "--block-size",
        type=number(int, 1, 4096),
        default=default.block_size,
        metavar="TOKENS",
        help=f"tokens in a block of the KV cache ({default.block_size})",
    )
    add(
        "--no-prefix-caching",
        dest="prefix_caching",
        action="store_false",
        help="compute every prompt in full, even if it begins as an earlier one did",
    )
    add(
        "--threads",
        dest="num_threads",
        type=number(int, 1, 4096),
        metavar="N",
        help="threads of the model on a CPU (the cores that this process may use)",
    )
    add(
        "--tensor-parallel-size",
        type=count,
        default=default.tensor_parallel_size,
        metavar="N",
        help="GPUs between which each layer is divided, for a model that outgrows one; with --device cpu "
        f"processes, which only tests want ({default.tensor_parallel_size})",
    )
    add(
        "--request-timeout-s",
        type=number(float, 0, 86400),
        default=default.request_timeout_s,
        metavar="SECONDS",
        help=f"how long an answer may take before it ends with 504; 0 sets no limit "
        f"({default.request_timeout_s:g})",
    )
    add(
        "--grace-period-s",
        type=number(float, 0, 86400),
        default=default.grace_period_s,
        metavar="SECONDS",
        help=f"how long running requests may take to finish after SIGTERM ({default.grace_period_s:g})",
    )
    add(
        "--max-body-bytes",
        type=number(int, 1024, 2**31 - 1),
        default=default.max_body_bytes,
        metavar="BYTES",
        help=f"largest request body; longer ones are answered with 413 ({default.max_body_bytes})",
    )
    add("--download-dir", metavar="FOLDER", help="where models from the Hub are kept (the Hub's own cache)")
    add(
        "--log-level",
        choices=LOG_LEVELS,
        default=default.log_level,
        help=f"warning leaves out the line for each request ({default.log_level})",
    )
    return parser
