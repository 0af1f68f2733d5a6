"""The command line, read and checked once, at start."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from . import __version__
from .errors import StartError
from .settings import Settings, StaticBackend

LOG_LEVELS = ("debug", "info", "warning", "error")
PATH_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def parse_settings(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the command line.

    Raises:
        StartError: a value is out of range or not of its kind.
        SystemExit: for `--help` and `--version`.
    """
    values = vars(_parser().parse_args(arguments))
    if values["api_key"] is None:
        values["api_key"] = environ.get("OPENAISLE_API_KEY") or None
    settings = Settings(
        **{
            **values,
            "backends": tuple(values["backends"]),
            "cors_origins": _cors_origins(values["cors_origins"]),
        }
    )
    if not settings.backends and not settings.discover:
        raise StartError(
            "No model server is named: add --backend http://HOST:PORT, "
            "or --discover to watch Kubernetes for them."
        )
    if settings.page_dir is not None and not settings.page_dir.is_dir():
        raise StartError(f"--page-dir: there is no folder {settings.page_dir}.")
    return settings


def _cors_origins(values: list[str] | None) -> tuple[str, ...]:
    if values is None:
        return Settings.cors_origins
    return () if values == ["none"] else tuple(origin.rstrip("/") for origin in values)


def _backend(text: str) -> StaticBackend:
    """Read `[MODEL=]URL`."""
    model: str | None = None
    url = text
    if not text.startswith(("http://", "https://")):
        model, found, rest = text.partition("=http")
        url = "http" + rest
        if not found or not model:
            raise argparse.ArgumentTypeError(
                f"'{text}' is neither http://HOST:PORT nor MODEL=http://HOST:PORT"
            )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise argparse.ArgumentTypeError(f"'{url}' is not of the form http://HOST:PORT")
    # People paste the base URL that clients use; the paths below add /v1 themselves.
    return StaticBackend(url.rstrip("/").removesuffix("/v1").rstrip("/"), model)


def _path_prefix(text: str) -> str:
    prefix = text.rstrip("/")
    if prefix and not PATH_PREFIX.fullmatch(prefix):
        raise argparse.ArgumentTypeError(f"'{text}' is no path such as /openaisle")
    return prefix


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are our own errors: one sentence, exit code 1."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise StartError(f"{message[:1].upper()}{message[1:]}; --help lists the options.")


def _number(kind: type, minimum: float, maximum: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f"{text} is not between {minimum:.10g} and {maximum:.10g}")
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = _Parser(
        prog="serve-adapter.py",
        description="Serve OpenAI's completions API with keys, in front of model servers.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"openaisle-adapter {__version__}")
    add("--host", default=default.host, help="address to listen on (default: all)")
    add(
        "--port",
        type=_number(int, 0, 65535),
        default=default.port,
        help="port to listen on; 0 takes a free one (default: %(default)s)",
    )
    add(
        "--backend",
        dest="backends",
        metavar="[MODEL=]URL",
        type=_backend,
        action="append",
        default=[],
        help="a model server, as http://HOST:PORT; without MODEL it is asked for its models; may be repeated",
    )
    add(
        "--discover",
        action="store_true",
        help="find model servers by watching Kubernetes' Services and EndpointSlices",
    )
    add("--namespace", help="namespace to watch (default: the pod's own, or the kubeconfig's)")
    add(
        "--selector",
        default=default.selector,
        help="labels of the Services to watch (default: %(default)s)",
    )
    add(
        "--keys-dir",
        metavar="DIR",
        type=Path,
        help="folder with one file for each API key, named as the key's owner; read again when it changes",
    )
    add(
        "--auth-token",
        metavar="BASE64",
        help="an API key in base64; clients send it decoded, or as it is",
    )
    add("--api-key", metavar="KEY", help="an API key as it is (default: $OPENAISLE_API_KEY)")
    add(
        "--limits-file",
        metavar="FILE",
        type=Path,
        help="YAML file with what each key may do; read again when it changes",
    )
    add(
        "--wait-s",
        type=_number(float, 0, 3600),
        default=default.wait_s,
        help="seconds that a request waits for a replica of its model where none can take it now "
        "(default: %(default)g)",
    )
    add(
        "--path-prefix",
        metavar="PATH",
        type=_path_prefix,
        default=default.path_prefix,
        help="path below which everything is served as well, such as /openaisle",
    )
    add("--page-dir", metavar="DIR", type=Path, help="folder with the demo page, to serve it at /")
    add(
        "--cors-origin",
        dest="cors_origins",
        metavar="ORIGIN",
        action="append",
        help="web origin that may use the API from a browser; may be repeated; 'none' allows no other "
        "(default: *)",
    )
    add(
        "--grace-period-s",
        type=_number(float, 0, 86400),
        default=default.grace_period_s,
        help="seconds that running requests have to finish after SIGTERM (default: %(default)g)",
    )
    add(
        "--timeout-s",
        type=_number(float, 0.1, 86400),
        default=default.timeout_s,
        help="seconds that a model server may stay silent within a request (default: %(default)g)",
    )
    add(
        "--max-body-bytes",
        type=_number(int, 1, 2**31 - 1),
        default=default.max_body_bytes,
        help="largest request body (default: %(default)s)",
    )
    add("--log-level", choices=LOG_LEVELS, default=default.log_level, help="(default: %(default)s)")
    return parser
