"""Server-sent events, as far as a proxy has to know them (pure)."""

from __future__ import annotations

from .errors import ApiError

LONGEST_EVENT = 1024 * 1024
"""Bytes that are held back at most; what is longer passes through in pieces."""


class WholeEvents:
    """Holds back the beginning of an event until its end has come.

    So when a stream breaks off, the client has whole events only, and the error event that is put
    behind them can be read.
    """

    def __init__(self) -> None:
        self._held = b""

    def push(self, chunk: bytes) -> bytes:
        """The whole events that are there now that the chunk has come; often the chunk itself."""
        data = self._held + chunk
        end = max(data.rfind(mark) + len(mark) if mark in data else 0 for mark in (b"\n\n", b"\r\n\r\n"))
        if len(data) - end > LONGEST_EVENT:
            end = len(data)
        self._held = data[end:]
        return data[:end]

    def rest(self) -> bytes:
        """What is held back at the end of a stream."""
        return self._held


def error_event(error: ApiError) -> bytes:
    """The event that tells a client why its stream ends early."""
    return b"data: " + error.body() + b"\n\n"
