"""What the program was told to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StaticBackend:
    """A model server named on the command line."""

    url: str
    """Without a slash or /v1 at the end."""
    model: str | None = None
    """None: its own /v1/models says what it serves."""


@dataclass(frozen=True)
class Settings:
    """Everything the command line says; `command_line.py` reads and checks it, once, at start."""

    host: str = "0.0.0.0"
    port: int = 8000
    """0 lets the system choose a free port."""
    backends: tuple[StaticBackend, ...] = ()
    discover: bool = False
    """Watch Kubernetes' Services and EndpointSlices for model servers."""
    namespace: str | None = None
    """The namespace to watch; None is the pod's own, or the kubeconfig's."""
    selector: str = "openaisle.io/backend=true"
    """Labels of the Services that are model servers."""
    keys_dir: Path | None = None
    """A folder with a file for each key: the file's name is the key's, its content the key."""
    auth_token: str | None = None
    """A key in base64; clients may send it decoded or as it is."""
    api_key: str | None = None
    limits_file: Path | None = None
    """What each key may do; see `limits_file.py`."""
    page_dir: Path | None = None
    """Static files to serve at /, for use without nginx."""
    cors_origins: tuple[str, ...] = ("*",)
    """Web pages that may call the API from a browser; empty: none but our own."""
    grace_period_s: float = 60.0
    """How long running requests may take to finish after SIGTERM."""
    timeout_s: float = 600.0
    """How long a model server may stay silent within a request."""
    wait_s: float = 0.0
    """How long a request waits for a replica of its model where none can take it now."""
    path_prefix: str = ""
    """A path, such as /openaisle, below which everything is served as well."""
    max_body_bytes: int = 4 * 1024 * 1024
    log_level: str = "info"
