"""Health and metrics at a server's port while the model is still fetched by a program of its own."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from .listen import bind
from .startup import Startup, StartupCollector

_HOST = "0.0.0.0"
_POLL_S = 0.05
"""The longest that the end of the block takes."""


@contextlib.contextmanager
def serve_startup(port: int, model: str, startup: Startup) -> Iterator[None]:
    """Answer /health/live, /health/ready and /metrics while the block runs, from a thread.

    Raises:
        PortError: the port is taken or not ours.
    """
    registry = CollectorRegistry()
    registry.register(StartupCollector(model, startup))

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path == "/health/live":
                self._answer_json(200, {"status": "live"})
            elif path == "/health/ready":
                self._answer_json(503, startup.answer())
            else:
                self.send_error(404)

        do_HEAD = do_GET

        def _answer_json(self, status: int, body: dict[str, object]) -> None:
            self._answer(status, "application/json", json.dumps(body).encode())

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: Prometheus and the gateway ask every few seconds."""

    listener = bind(_HOST, port)
    with ThreadingHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listener
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="startup", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
