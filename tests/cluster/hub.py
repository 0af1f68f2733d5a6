"""A Hub of its own kind, for the cluster: serves the folder in $FOLDER as the model lab/stories.

Runs inside a pod with Python's standard library only. Asks for the token in $TOKEN; other models are 404, as
on the real Hub.
"""

import hashlib
import http.server
import json
import os
import pathlib
import re

FOLDER = pathlib.Path(os.environ["FOLDER"])
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def oid(content: bytes) -> str:
    """What git calls a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), "X-Repo-Commit": COMMIT, **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, b"{}", {"X-Error-Code": code})

    def do_GET(self):
        path = self.path.partition("?")[0]
        if self.headers["Authorization"] != f"Bearer {os.environ['TOKEN']}":
            return self.refuse(401, "Unauthorized")
        if re.fullmatch(r"/api/models/lab/stories(/revision/[^/]+)?", path):
            files = [{"rfilename": file.name, "size": file.stat().st_size} for file in FOLDER.iterdir()]
            body = {"id": "lab/stories", "sha": COMMIT, "siblings": files}
            return self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
        if re.fullmatch(r"/api/models/lab/stories/tree/[^/]+", path):
            tree = [
                {
                    "type": "file",
                    "path": file.name,
                    "size": file.stat().st_size,
                    "oid": oid(file.read_bytes()),
                }
                for file in FOLDER.iterdir()
            ]
            return self.answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        found = re.fullmatch(r"/lab/stories/resolve/[^/]+/([^/]+)", path)
        if not found or not (FOLDER / found[1]).is_file():
            return self.refuse(404, "EntryNotFound" if found else "RepoNotFound")
        content = (FOLDER / found[1]).read_bytes()
        return self.answer(200, content, {"ETag": f'"{oid(content)}"'})

    do_HEAD = do_GET


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 8000), Hub).serve_forever()
