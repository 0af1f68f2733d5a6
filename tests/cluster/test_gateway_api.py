"""An HTTPRoute with a Gateway of the class that $OPENAISLE_GATEWAY_CLASS names (traefik)."""

import os

from tests.cluster.conftest import wait_for


def test_a_gateway_takes_the_route(namespace):
    gateway_class = os.environ.get("OPENAISLE_GATEWAY_CLASS", "traefik")
    listener = {"name": "web", "protocol": "HTTP", "port": 80}
    namespace.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "lab"},
            "spec": {"gatewayClassName": gateway_class, "listeners": [listener]},
        }
    )
    namespace.install(
        values={
            "ingress": {"enabled": False},
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "lab"}], "hostnames": ["llm.example.org"]},
            "models": [],
            "adapter": {"replicas": 0},
        }
    )

    def conditions():
        parents = namespace.get("httproute", "openaisle").get("status", {}).get("parents", [])
        return {item["type"]: item["status"] for parent in parents for item in parent["conditions"]}

    wait_for("the Gateway", lambda: conditions().get("Accepted") == "True", timeout_s=30)
    assert conditions()["ResolvedRefs"] == "True"
    namespace.helm("uninstall", "openaisle")
