"""Static files: the documentation, and the demo page where there is no nginx."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from sanic import HTTPResponse, Request, Sanic

from .. import __version__
from ..docs import documentation_files, openapi_document

TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TRUSTED_TYPES = "; require-trusted-types-for 'script'"
"""Our own page writes text only; Swagger UI writes HTML."""
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}
LINKS = {
    "name": "OpenAISLE",
    "version": __version__,
    "completions": "v1/completions",
    "models": "v1/models",
    "documentation": "docs/",
    "openapi": "openapi.json",
}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is served."""

    body: bytes
    content_type: str
    etag: str


def setup_pages(app: Sanic, page_dir: Path | None) -> None:
    """Add /openapi.json, /docs/ and, given the demo page's folder, the page at /.

    The files are read once: they belong to the program, and no path from a request ever meets
    the file system.
    """
    files = {
        "/": _static_file(json.dumps(LINKS).encode(), ".json"),
        "/openapi.json": _static_file(openapi_document(), ".json"),
    }
    for name, body in documentation_files().items():
        files[f"/docs/{name}"] = _static_file(body, Path(name).suffix)
    files["/docs/"] = files["/docs/index.html"]
    app.add_route(redirect_to_docs, "/docs", methods=["GET", "HEAD"], strict_slashes=True)
    if page_dir is not None:
        page = _read_all(page_dir)
        files["/config.json"] = _static_file(b"{}", ".json")
        files.update({f"/{name}": file for name, file in page.items()})
        files["/"] = page.get("index.html", files["/"])
    for path, file in files.items():
        app.add_route(
            partial(_answer, file=file),
            quote(path),
            methods=["GET", "HEAD"],
            name=f"file {path}".replace(".", "-"),
            strict_slashes=True,
        )


async def redirect_to_docs(_: Request) -> HTTPResponse:
    """Put the slash at the end, on which the page's relative links depend."""
    return HTTPResponse(status=308, headers={"location": "docs/"}, content_type="text/plain")


async def _answer(request: Request, file: StaticFile) -> HTTPResponse:
    headers = {
        **SECURITY_HEADERS,
        "content-security-policy": POLICY if request.path.startswith("/docs/") else POLICY + TRUSTED_TYPES,
        "cache-control": "no-cache",
        "etag": file.etag,
    }
    if request.headers.get("if-none-match") == file.etag:
        return HTTPResponse(status=304, headers=headers)
    return HTTPResponse(file.body, headers=headers, content_type=file.content_type)


def _read_all(folder: Path) -> dict[str, StaticFile]:
    """Every file below the folder, by its relative path with slashes."""
    return {
        path.relative_to(folder).as_posix(): _static_file(path.read_bytes(), path.suffix)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def _static_file(body: bytes, suffix: str) -> StaticFile:
    content_type = TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return StaticFile(body, content_type, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
