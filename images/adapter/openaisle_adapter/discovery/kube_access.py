"""Where the Kubernetes API is, and how to prove who asks: a pod's own account, or a kubeconfig."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import StartError

ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class KubeAccess:
    """All that is needed to ask the API server something."""

    server: str
    """Without a slash at the end."""
    namespace: str
    ssl_context: ssl.SSLContext | None
    """None for an API server without TLS, such as `kubectl proxy`."""
    token: Callable[[], str | None]
    """Read anew for each request, since Kubernetes replaces a pod's token every hour."""
    tls_server_name: str | None = None


def load_access(namespace: str | None, environ: Mapping[str, str] = os.environ) -> KubeAccess:
    """The access that $KUBECONFIG describes, or else the pod's own, or else ~/.kube/config.

    Raises:
        StartError: there is none of them, or it can't be used.
    """
    if environ.get("KUBECONFIG"):
        return _from_kubeconfig(Path(environ["KUBECONFIG"]), namespace)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return _from_pod(namespace, environ)
    default = Path(environ.get("HOME", "/")) / ".kube" / "config"
    if default.is_file():
        return _from_kubeconfig(default, namespace)
    raise StartError(
        "--discover needs a Kubernetes cluster: run the adapter in a pod, or set KUBECONFIG, "
        "or name the model servers with --backend."
    )


def _from_pod(namespace: str | None, environ: Mapping[str, str]) -> KubeAccess:
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file = ACCOUNT_DIR / "token"
    try:
        token_file.read_text()
        context = ssl.create_default_context(cafile=str(ACCOUNT_DIR / "ca.crt"))
        own_namespace = (ACCOUNT_DIR / "namespace").read_text().strip()
    except OSError as error:
        raise StartError(
            f"The pod has no usable service account ({error.filename or ACCOUNT_DIR}: {error.strerror}): "
            "set automountServiceAccountToken to true."
        ) from error
    return KubeAccess(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace or own_namespace,
        ssl_context=context,
        token=lambda: token_file.read_text().strip(),
    )


def _from_kubeconfig(path: Path, namespace: str | None) -> KubeAccess:
    """Raises StartError: the file does not hold a context that can be used."""
    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"] or {}
        server = cluster["server"].rstrip("/")
        ssl_context = _ssl_context(cluster, user, path.parent) if server.startswith("https") else None
    except OSError as error:
        raise StartError(
            f"The kubeconfig {path} can't be used ({error.filename or 'TLS'}: {error.strerror})."
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise StartError(
            f"The kubeconfig {path} can't be used: its current context names no cluster and user in it."
        ) from error
    if "exec" in user or "auth-provider" in user:
        raise StartError(
            f"The kubeconfig {path} logs in by running a program, which the adapter does not do: "
            "use a service account's token, or `kubectl proxy`."
        )
    return KubeAccess(
        server=server,
        namespace=namespace or context.get("namespace") or "default",
        ssl_context=ssl_context,
        token=_token(user, path.parent),
        tls_server_name=cluster.get("tls-server-name"),
    )


def _named(config: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in config[kind]:
        if entry["name"] == name:
            found: dict[str, Any] = entry
            return found
    raise KeyError(name)


def _token(user: dict[str, Any], folder: Path) -> Callable[[], str | None]:
    if "tokenFile" in user:
        token_file = folder / user["tokenFile"]
        return lambda: token_file.read_text().strip()
    return lambda: user.get("token")


def _ssl_context(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _content(user, "client-certificate", folder)
    key = _content(user, "client-key", folder)
    if certificate and key:
        # Python's ssl reads a client's certificate from a file only.
        with tempfile.NamedTemporaryFile(prefix="openaisle-") as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _content(entry: dict[str, Any], name: str, folder: Path) -> bytes | None:
    """What stands in `NAME-data` in base64, or in the file that `NAME` names."""
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return (folder / entry[name]).read_bytes() if name in entry else None
