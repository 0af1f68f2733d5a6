"""Where the API server is, and how to prove who asks."""

from __future__ import annotations

import dataclasses
import os

import kopf

from .errors import StartError


def load_access() -> kopf.ConnectionInfo:
    """The pod's own account, or else what $KUBECONFIG describes. Read anew, since a pod's token is replaced.

    Raises:
        StartError: there is neither.
    """
    settings = kopf.OperatorSettings()
    account = kopf.login_with_service_account(settings=settings)
    if account is not None:
        # By address, so that the pod needs no DNS.
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        return dataclasses.replace(account, server=server)
    account = kopf.login_with_kubeconfig(settings=settings)
    if account is None:
        raise StartError("The operator needs a Kubernetes cluster: run it in a pod, or set KUBECONFIG.")
    return account
