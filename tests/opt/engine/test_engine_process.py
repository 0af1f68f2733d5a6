"""The engine as a process of its own, over its socket."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

import msgspec
import pytest
from openaisle_opt import engine_process
from openaisle_opt.protocol import (
    Cancel,
    Fatal,
    FromEngine,
    Progress,
    Ready,
    Sampling,
    Step,
    Submit,
    ToEngine,
)
from openaisle_opt.settings import EngineSettings

PROMPT = [2, 50, 60, 70]
PATIENCE_S = 180
"""A process that imports torch takes two seconds, but on a busy machine twenty times as long."""


class Client:
    """The other end of the connection."""

    def __init__(self, path: str, process: SpawnProcess):
        self.process = process
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connection.settimeout(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.connection.connect(path)
                break
            except OSError:
                assert time.monotonic() < deadline, "the engine does not listen"
                time.sleep(0.02)
        self.stream = self.connection.makefile("rb")
        self.decoder = msgspec.msgpack.Decoder(FromEngine)

    def send(self, message: ToEngine) -> None:
        payload = msgspec.msgpack.encode(message)
        self.connection.sendall(struct.pack(">I", len(payload)) + payload)

    def receive(self) -> FromEngine:
        (length,) = struct.unpack(">I", self.stream.read(4))
        return self.decoder.decode(self.stream.read(length))

    def wait_for(self, kind: type[FromEngine]) -> FromEngine:
        while True:
            message = self.receive()
            if isinstance(message, kind):
                return message
            assert isinstance(message, Progress), message

    def tokens(self, request_id: str) -> Iterator[int]:
        while True:
            step = self.receive()
            assert isinstance(step, Step)
            for token in step.tokens:
                if token.request_id == request_id:
                    yield token.token_id
                    if token.finish_reason:
                        return

    def close(self) -> None:
        self.stream.close()
        self.connection.close()


@pytest.fixture
def connect():
    """Starts an engine process for a folder and connects to it."""
    clients: list[Client] = []
    with tempfile.TemporaryDirectory() as folder:

        def connect(model_dir: Path) -> Client:
            path = f"{folder}/{len(clients)}"
            settings = EngineSettings(str(model_dir), kv_cache_gib=0.05, num_threads=1)
            process = multiprocessing.get_context("spawn").Process(
                target=engine_process.main, args=(settings, path)
            )
            process.start()
            clients.append(Client(path, process))
            return clients[-1]

        yield connect
        for client in clients:
            client.close()
            client.process.join(PATIENCE_S)
            assert client.process.exitcode is not None, "the engine outlives its connection"
            client.process.close()


def test_a_process_answers_cancels_survives_signals_and_ends_with_its_connection(connect, peer):
    client = connect(peer.path)
    ready = client.wait_for(Ready)
    assert (ready.vocab_size, ready.max_model_len, ready.eos_token_ids) == (211, 128, [2])
    client.send(Submit("one", PROMPT, Sampling(8, temperature=0, ignore_eos=True)))
    assert list(client.tokens("one")) == peer.greedy(PROMPT, 8)

    client.send(Submit("two", PROMPT, Sampling(120, ignore_eos=True)))
    client.send(Cancel("two"))
    while True:
        step = client.receive()
        if step.stats.num_running == step.stats.num_waiting == 0:
            break
    assert step.stats.num_free_blocks == step.stats.num_blocks

    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(client.process.pid, number)
    client.send(Submit("three", PROMPT, Sampling(2, temperature=0)))
    assert len(list(client.tokens("three"))) <= 2

    client.close()
    client.process.join(PATIENCE_S)
    assert client.process.exitcode == 0


def test_a_folder_without_a_model_is_told_in_one_sentence(connect, tmp_path):
    client = connect(tmp_path)
    fatal = client.wait_for(Fatal)
    assert "has no config.json" in fatal.message
    client.process.join(PATIENCE_S)
    assert client.process.exitcode == 1
