"""The adapter as users start it: a process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """A running adapter, and what it has logged so far."""

    def __init__(self, process: asyncio.subprocess.Process):
        self.process = process
        self.log: list[dict] = []

    async def logged(self, beginning: str) -> dict:
        """The first log line whose message begins so, from those that are still to come."""
        assert self.process.stderr is not None
        while line := await asyncio.wait_for(self.process.stderr.readline(), 20):
            self.log.append(json.loads(line))
            if self.log[-1]["message"].startswith(beginning):
                return self.log[-1]
        raise AssertionError(f"the program ended without a word of {beginning!r}: {self.log}")

    async def read_on(self) -> None:
        """Read the log until the program ends; a full pipe would hold it up."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log.append(json.loads(line))

    async def end(self) -> tuple[int, str]:
        """Exit code, and the rest of the log."""
        _, rest = await asyncio.wait_for(self.process.communicate(), 20)
        assert self.process.returncode is not None
        return self.process.returncode, rest.decode()


@asynccontextmanager
async def running(*arguments: str, **environment: str) -> AsyncIterator[Program]:
    """The program while the block runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "images/adapter/serve-adapter.py"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def client_of(program: Program, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the program, once it listens."""
    url = (await program.logged("Listening on"))["message"].split()[-1]
    async with httpx.AsyncClient(base_url=url, trust_env=False, **options) as client:
        yield client
