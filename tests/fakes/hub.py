"""A Hub of its own kind: as much of the Hub's API as a download needs, over one folder of files.

Every model `lab/...` is there and has the same files; its name says what goes wrong with it:

    lab/missing, lab/private   is refused with 404 or 401
    lab/llama                  is no OPT
    lab/cut                    a file's connection breaks off in the middle when it is first asked for
    lab/changed                the weights are other bytes than promised, always
    lab/slow                   the weights take seconds
    lab/held                   half of the weights come only after /release was asked for
    lab/names                  files are listed by name only, as some mirrors do

In a pod it runs as a program: the folder is $FOLDER, $TOKEN has to come with every question, and lab/slow
takes $SLOW_S seconds. GET /asked tells what it was asked for.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".msgpack", ".h5")


class Hub(http.server.ThreadingHTTPServer):
    """What a test reads and sets."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes], address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, _Handler)
        self.files = files
        self.token: str | None = None
        self.status = 200
        """Another than 200 is the answer to everything, with `headers`."""
        self.headers: dict[str, str] = {}
        self.gate = threading.Event()
        """While it is clear, questions wait for their answers."""
        self.gate.set()
        self.seconds = 6.0
        """How long the weights of lab/slow take."""
        self.asked: list[tuple[str, str | None]] = []
        """Paths and the authorization that came with them."""
        self.ranges: list[str] = []
        """Parts of files that were asked for, as `model.safetensors bytes=100-`."""
        self.cut: set[str] = set()
        self.released = threading.Event()
        """Set when lab/held may come whole."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def git_hash(data: bytes) -> str:
    """What git calls a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        hub, path = self.server, self.path.partition("?")[0]
        if path == "/asked":
            paths = [path for path, _ in hub.asked]
            return self.answer(200, json.dumps({"paths": paths, "ranges": hub.ranges}).encode(), {})
        if path == "/release":
            hub.released.set()
            return self.answer(200, b"", {})
        hub.asked.append((path, self.headers.get("authorization")))
        hub.gate.wait(30)
        if path.startswith("/lfs/"):
            # Another host on the real Hub, which wants no token but signs the address.
            return self.send_file(*path.split("/")[2:])
        model = "/".join(path.removeprefix("/api/models").split("/")[1:3])
        if hub.status != 200:
            return self.answer(hub.status, b"", hub.headers)
        if model == "lab/private" or (hub.token and self.headers["Authorization"] != f"Bearer {hub.token}"):
            return self.answer(401, b"", {"X-Error-Message": "Invalid username or password."})
        if model == "lab/missing" or not model.startswith("lab/"):
            return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        if path.startswith(f"/api/models/{model}/revision/"):
            siblings = [self.listed(model, name) for name in hub.files]
            body = json.dumps({"id": model, "sha": SHA, "siblings": siblings})
            return self.answer(200, body.encode(), {"Content-Type": "application/json"})
        name = path.removeprefix(f"/{model}/resolve/{SHA}/")
        if name not in hub.files:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        if not name.endswith(LARGE):
            return self.send_file(model.split("/")[1], name)
        data = hub.files[name]
        linked = {"X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Linked-Size": str(len(data))}
        return self.answer(302, b"", {**linked, "Location": f"/lfs/{model.split('/')[1]}/{name}"})

    do_HEAD = do_GET

    def content(self, model: str, name: str) -> bytes:
        data = self.server.files[name]
        return data.replace(b'"opt"', b'"llama"') if (model, name) == ("llama", "config.json") else data

    def listed(self, model: str, name: str) -> dict[str, Any]:
        if model == "lab/names":
            return {"rfilename": name}
        data = self.content(model.split("/")[1], name)
        entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_hash(data)}
        if name.endswith(LARGE):
            entry["blobId"] = git_hash(b"pointer")
            entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry

    def send_file(self, model: str, name: str) -> None:
        hub, data = self.server, self.content(model, name)
        large = name.endswith(LARGE)
        etag = hashlib.sha256(data).hexdigest() if large else git_hash(data)
        if model == "changed" and large:
            data = data[:-1] + bytes([data[-1] ^ 1])
        wanted = self.headers.get("range")
        if wanted:
            hub.ranges.append(f"{name} {wanted}")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        headers = {"ETag": f'"{etag}"', "Content-Length": str(len(data) - start)}
        part = data[start:]
        if self.command == "GET" and model == "cut" and name not in hub.cut:
            hub.cut.add(name)
            part = part[: len(part) // 2]
            self.close_connection = True
        if model == "held" and large:
            pieces, pause = 2, lambda: hub.released.wait(120)
        elif model == "slow" and large:
            pieces, pause = 20, lambda: time.sleep(hub.seconds / 20)
        else:
            pieces, pause = 1, lambda: None
        self.answer(206 if start else 200, part, headers, pieces, pause)

    def answer(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str],
        pieces: int = 1,
        pause: Callable[[], object] = lambda: None,
    ) -> None:
        """The body goes out in pieces, with a pause after each but the last."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        step = max(1, -(-len(body) // pieces))
        for at in range(0, len(body), step):
            if at:
                pause()
            self.wfile.write(body[at : at + step])

    def log_message(self, format: str, *arguments: Any) -> None:
        if __name__ == "__main__":
            super().log_message(format, *arguments)


def main() -> None:
    """Serve a folder to the pods of a cluster."""
    folder = pathlib.Path(os.environ["FOLDER"])
    hub = Hub({path.name: path.read_bytes() for path in folder.iterdir()}, ("", 8000))
    hub.token = os.environ["TOKEN"]
    hub.seconds = float(os.environ.get("SLOW_S", hub.seconds))
    hub.serve_forever()


if __name__ == "__main__":
    main()
