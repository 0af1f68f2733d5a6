"""A Hub with one repository, in as much of its API as a download needs."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from typing import Any


class Hub(http.server.ThreadingHTTPServer):
    """A Hub with one repository, in as much of its API as a download needs."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.files = files
        self.sha = "a" * 40
        self.status = 200
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        """While it is clear, questions wait for their answers."""
        self.gate.set()
        self.asked: list[tuple[str, str | None]] = []
        """Paths and the authorization that came with them."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _HubHandler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        hub = self.server
        path = self.path.partition("?")[0]
        if "lab/opt" in path:
            hub.asked.append((path, self.headers.get("authorization")))
        hub.gate.wait(30)
        if hub.status != 200:
            self._send(hub.status, b"", hub.headers)
        elif path.startswith("/api/models/lab/opt/revision/") or path == "/api/models/lab/opt":
            siblings = [{"rfilename": name, "size": len(data)} for name, data in hub.files.items()]
            info = {"id": "lab/opt", "sha": hub.sha, "siblings": siblings}
            self._send(200, json.dumps(info).encode(), {})
        elif path.startswith("/api/models/lab/opt/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in hub.files.items()
            ]
            self._send(200, json.dumps(tree).encode(), {})
        elif (name := path.rpartition("/")[2]) in hub.files and "/resolve/" in path:
            data = hub.files[name]
            etag = f'"{hashlib.sha1(data).hexdigest()}"'
            self._send(200, data, {"ETag": etag, "X-Repo-Commit": hub.sha})
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})

    do_HEAD = do_GET

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass
