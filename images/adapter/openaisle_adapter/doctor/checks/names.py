"""Whether names are resolved in the cluster."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

from ..finding import Finding

API_SERVER = "kubernetes.default.svc"
TIMEOUT_S = 10.0


async def resolves(host: str, timeout_s: float = TIMEOUT_S) -> str:
    """Empty if the host has an address, or else why it has none."""
    try:
        await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo(host, None), timeout_s)
    except socket.gaierror as error:
        return error.strerror or str(error)
    except asyncio.TimeoutError:
        return f"no answer within {timeout_s:g} s"
    return ""


async def check_dns(host: str = API_SERVER) -> AsyncIterator[Finding]:
    """One line: the one name that every cluster has."""
    if problem := await resolves(host):
        yield Finding(
            "dns",
            "fail",
            f"the name {host} isn't resolved ({problem})",
            "look at the cluster's DNS: kubectl -n kube-system get pods -l k8s-app=kube-dns",
            "dns",
        )
    else:
        yield Finding("dns", "ok", f"{host} is resolved")
