"""The two questions that a download asks of the Hub: what a model consists of, and a file's bytes."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..errors import CheckpointError
from .patience import HubAway

TIMEOUT_S = 30.0
"""Longest silence of the Hub, for a connection and between two pieces of a file."""

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a model on the Hub."""

    name: str
    num_bytes: int
    digest: str | None
    """Its sha256, or for small files what git calls its content (40 digits); None if the Hub doesn't tell."""


@dataclass(frozen=True)
class Listing:
    """A model at one commit."""

    model: str
    revision: str
    commit: str
    files: tuple[RemoteFile, ...]

    def __str__(self) -> str:
        return describe(self.model, self.revision)


def describe(model: str, revision: str) -> str:
    """A model in a sentence."""
    return model if revision == "main" else f"{model} at revision {revision}"


class HubClient:
    """Asks one Hub, with a token if there is one."""

    def __init__(self, endpoint: str, token: str | None = None):
        """Raises CheckpointError if `endpoint` is no address."""
        if not re.match(r"https?://[^/]", endpoint):
            raise CheckpointError(
                f"HF_ENDPOINT is '{endpoint}', which is no address; write one as https://hub.example.org."
            )
        self.endpoint = endpoint
        self._token = token
        self._follow = urllib.request.build_opener()
        self._stay = urllib.request.build_opener(_NoRedirect)

    def list(self, model: str, revision: str) -> Listing:
        """What `model` consists of.

        Raises:
            HubAway: another try may help.
            CheckpointError: the Hub refuses.
        """
        at = describe(model, revision)
        path = f"/api/models/{model}/revision/{quote(revision, safe='')}?blobs=true"
        with self._ask(self._request(path), at) as response, _reading(self.endpoint, at):
            body = response.read()
        try:
            info = json.loads(body)
            files = [_remote_file(entry) for entry in info["siblings"]]
            return Listing(model, revision, str(info["sha"]), tuple(files))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CheckpointError(
                f"{self.endpoint} does not answer as the Hub does when asked for {at}; check HF_ENDPOINT."
            ) from None

    def complete(self, listing: Listing, file: RemoteFile) -> RemoteFile:
        """`file` with the size and digest that a question for itself tells, as some mirrors list names only.

        Raises:
            HubAway, CheckpointError: as for `list`.
        """
        request = self._request(_path(listing, file), method="HEAD")
        with self._ask(request, str(listing), self._stay) as response:
            headers = response.headers
        etag = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
        size = headers.get("X-Linked-Size") or headers.get("Content-Length") or "0"
        return RemoteFile(file.name, int(size), etag if _HASH.fullmatch(etag) else None)

    @contextlib.contextmanager
    def read(self, listing: Listing, file: RemoteFile, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The bytes of `file` from `start` on, in pieces, and where they really begin (0 or `start`).

        Raises:
            HubAway, CheckpointError: as for `list`; also while the pieces are read.
        """
        request = self._request(_path(listing, file))
        if start:
            request.add_header("Range", f"bytes={start}-")
        with self._ask(request, str(listing)) as response:
            yield (start if response.status == 206 else 0), self._pieces(response, file.name)

    def _pieces(self, response: Any, name: str) -> Iterator[bytes]:
        with _reading(self.endpoint, name):
            # Whatever is there: a slow connection shows its progress too.
            while piece := response.read1(1 << 20):
                yield piece

    def _request(self, path: str, method: str = "GET") -> urllib.request.Request:
        request = urllib.request.Request(self.endpoint + path, method=method)
        request.add_header("User-Agent", f"openaisle-opt/{__version__}")
        if self._token:
            # Large files come from other hosts by a redirect, and the token is for the Hub only.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        return request

    def _ask(
        self, request: urllib.request.Request, at: str, opener: urllib.request.OpenerDirector | None = None
    ) -> Any:
        try:
            return (opener or self._follow).open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if 300 <= error.code < 400:
                return error
            with error:
                raise self._why_refused(error, at) from None
        except (OSError, http.client.HTTPException) as error:
            raise _why_away(self.endpoint, at, error) from None

    def _why_refused(self, error: urllib.error.HTTPError, at: str) -> CheckpointError:
        """A sentence for a status, the most specific case first."""
        status, code = error.code, error.headers.get("X-Error-Code")
        if code == "GatedRepo":
            return CheckpointError(
                f"{at} is given on request only; ask for access on its page on the Hub, then set HF_TOKEN."
            )
        if code == "RevisionNotFound":
            return CheckpointError(f"The Hub has no {at}; check the revision.")
        # Without a token the Hub does not tell a private model from one that does not exist.
        if code == "RepoNotFound" or status == 404 or (status == 401 and not self._token):
            return CheckpointError(
                f"The Hub has no model {at}, or it is private; check the id, or set HF_TOKEN."
            )
        if status in (401, 403):
            return CheckpointError(f"The Hub refused the token for {at} (status {status}); check HF_TOKEN.")
        if status == 429 or status >= 500:
            return HubAway(f"{self.endpoint} answered {status} when asked for {at}; try again later.")
        return CheckpointError(f"{self.endpoint} answered {status} when asked for {at}; check HF_ENDPOINT.")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The Hub's own answer tells a file's digest; that of the host it leads to does not."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@contextlib.contextmanager
def _reading(endpoint: str, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise _why_away(endpoint, what, error) from None


def _why_away(endpoint: str, what: str, error: Exception) -> CheckpointError:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CheckpointError(
            f"The certificate of {endpoint} is not trusted ({cause.verify_message}); name a file with its "
            "authority's certificate in SSL_CERT_FILE."
        )
    if isinstance(cause, http.client.IncompleteRead):
        reason = "the connection broke off"
    elif isinstance(cause, OSError):
        reason = cause.strerror or str(cause) or type(cause).__name__
    else:
        reason = str(cause) or type(cause).__name__
    return HubAway(
        f"{what} could not be fetched: {endpoint} cannot be reached ({reason}); check the network and "
        "HF_ENDPOINT, or bring the files in a folder."
    )


def _path(listing: Listing, file: RemoteFile) -> str:
    return f"/{listing.model}/resolve/{listing.commit}/{quote(file.name)}"


def _remote_file(entry: dict[str, Any]) -> RemoteFile:
    """A file as the listing tells it: large ones have a sha256 of their own, small ones git's hash only."""
    large = entry.get("lfs") or {}
    digest = large.get("sha256") or large.get("oid") or entry.get("blobId")
    size = large.get("size", entry.get("size"))
    if isinstance(digest, str) and _HASH.fullmatch(digest) and isinstance(size, int):
        return RemoteFile(entry["rfilename"], size, digest)
    return RemoteFile(entry["rfilename"], 0, None)
