"""The servers that are measured, as processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from load import wait_until_ready

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL_NAME = "bench"


@dataclass(frozen=True)
class Server:
    """One that is ready; a group of processes."""

    url: str
    process_group: int

    def pause(self) -> None:
        """Take it off the cores: an idle server may still look for work in a loop."""
        os.killpg(self.process_group, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self.process_group, signal.SIGCONT)


@contextlib.asynccontextmanager
async def openaisle(model_dir: Path, dtype: str, threads: int) -> AsyncIterator[Server]:
    """serve-opt.py."""
    port = _free_port()
    command = [sys.executable, str(ROOT / "images/opt/serve-opt.py"), "--host=127.0.0.1", f"--port={port}"]
    command += [f"--model={model_dir}", f"--served-model-name={MODEL_NAME}", f"--dtype={dtype}"]
    command += [f"--threads={threads}", "--no-prefix-caching", "--log-level=warning"]
    async with _running(command, {}, f"http://127.0.0.1:{port}", "/health/ready", 120) as server:
        yield server


@contextlib.asynccontextmanager
async def vllm(venv: Path, model_dir: Path, dtype: str, threads: int) -> AsyncIterator[Server]:
    """vLLM's own OpenAI server from a virtual environment with its CPU build."""
    port = _free_port()
    command = [str(venv / "bin/python"), "-m", "vllm.entrypoints.openai.api_server", "--host=127.0.0.1"]
    command += [f"--port={port}", f"--model={model_dir}", f"--served-model-name={MODEL_NAME}"]
    command += [
        f"--dtype={dtype}",
        "--no-enable-prefix-caching",
        "--max-num-seqs=64",
        "--disable-uvicorn-access-log",
    ]
    environment = {
        "VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_CACHE_ROOT": str(venv / "cache"),
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
    }
    if (venv / "lib/libiomp5.so").exists():  # as vLLM advises
        environment["LD_PRELOAD"] = str(venv / "lib/libiomp5.so")
    async with _running(command, environment, f"http://127.0.0.1:{port}", "/health", 600) as server:
        yield server


@contextlib.asynccontextmanager
async def _running(
    command: list[str], environment: dict[str, str], url: str, ready_path: str, limit_s: float
) -> AsyncIterator[Server]:
    """A process from its start until it is ready, and until its end."""
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment, stdout=sys.stderr, preexec_fn=os.setpgrp
    )
    server = Server(url, process.pid)
    try:
        await wait_until_ready(url, ready_path, process, limit_s)
        yield server
    finally:
        if process.returncode is None:
            server.go_on()
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
