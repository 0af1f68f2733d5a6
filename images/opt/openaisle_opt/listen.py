"""The socket that the server listens on."""

from __future__ import annotations

import errno
import os
import socket

from .errors import PortError

_BACKLOG = 1024


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; the caller closes it.

    Raises:
        PortError: the address is taken, not ours, or not an address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise PortError(f"'{host}' is not an address to listen on ({error}); check --host.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortError(f"Port {port} is taken by another program; choose another with --port.") from None
        if error.errno == errno.EACCES:
            raise PortError(f"Port {port} is reserved for root; choose one from 1024 with --port.") from None
        raise PortError(f"Cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}.") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a client on this machine finds the socket."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
