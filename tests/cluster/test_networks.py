"""NetworkPolicies on the cluster: who reaches whom."""

import os

import pytest

from tests.cluster.conftest import wait_for

SCRIPT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()
    print("reached")
except OSError as error:
    print("not reached:", error)
"""


@pytest.fixture
def stranger(bystander):
    """A function that tries to connect from a pod of nobody's in another namespace."""

    def connect(host, port):
        return bystander.kubectl("exec", "bystander", "--", "python3", "-c", SCRIPT, host, str(port))

    connect.namespace = bystander.name
    return connect


def pod_ip(release, component):
    (pod,) = [
        pod
        for pod in release.namespace.get("pods", "", "-l", f"app.kubernetes.io/component={component}")
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]
    return pod["status"]["podIP"]


def test_strangers_reach_the_gateway_and_the_page_but_no_model(release, stranger):
    assert "not reached" in stranger(pod_ip(release, "opt"), 8000)
    assert stranger(pod_ip(release, "adapter"), 8000) == "reached\n"
    assert stranger(pod_ip(release, "demo"), 8080) == "reached\n"


def test_named_clients_and_prometheus_get_in_and_nobody_else(release, stranger):
    def namespace_called(name):
        return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}

    ingress = os.environ.get("OPENAISLE_INGRESS_NAMESPACE", "ingress")
    policy = {"clients": [namespace_called(ingress)], "metrics": [namespace_called(stranger.namespace)]}
    release.namespace.upgrade(values={"networkPolicy": policy})
    try:
        wait_for(
            "the page's policy",
            lambda: "not reached" in stranger(pod_ip(release, "demo"), 8080),
            timeout_s=30,
        )
        # Where metrics are read, the gateway's are, too.
        assert stranger(pod_ip(release, "adapter"), 8000) == "reached\n"
        assert stranger(pod_ip(release, "opt"), 8000) == "reached\n"
        assert release.complete().status_code == 200
    finally:
        release.namespace.upgrade("--reset-values")
    wait_for(
        "the model's policy", lambda: "not reached" in stranger(pod_ip(release, "opt"), 8000), timeout_s=30
    )


def test_a_model_with_its_weights_reaches_nobody(release):
    def from_model(host, port):
        return release.namespace.kubectl(
            "exec", "openaisle-tiny-opt-0", "--", "python3", "-c", SCRIPT, host, str(port)
        )

    wait_for("the model's pod", lambda: release.complete().status_code == 200)
    assert "not reached" in from_model(pod_ip(release, "adapter"), 8000)
    assert "not reached" in from_model("kubernetes.default.svc", 443)
