"""The ways in: whether a controller serves the Ingress, and a Gateway the HTTPRoute."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from ..view import Object, Unseen, View, name


def check_ingress(view: View) -> Iterator[Finding]:
    """A line for each Ingress and HTTPRoute of the release.

    Raises:
        Unseen: the account may not list Ingresses.
    """
    for ingress in view.of_release("ingresses"):
        yield _ingress(view, ingress)
    try:
        routes = view.of_release("httproutes")
    except Unseen:
        return
    for route in routes:
        yield _route(view, route)


def _ingress(view: View, ingress: Object) -> Finding:
    wanted = ingress["spec"].get("ingressClassName", "")
    addresses = [
        entry.get("ip") or entry.get("hostname", "")
        for entry in ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    ]
    if addresses:
        return Finding("ingress", "ok", f"the Ingress {name(ingress)} ({wanted}) is served at {addresses[0]}")
    try:
        classes = sorted(name(item) for item in view.all("ingressclasses"))
    except Unseen:
        return Finding(
            "ingress",
            "warn",
            f"no controller has given the Ingress {name(ingress)} an address",
            f"look whether the class {wanted} exists: kubectl get ingressclass",
            "no-address",
        )
    if not wanted:
        return Finding(
            "ingress",
            "fail",
            f"the Ingress {name(ingress)} is of the default IngressClass, and when it was made "
            "the cluster had none",
            _other_class(classes),
            "no-address",
        )
    if wanted not in classes:
        return Finding(
            "ingress",
            "fail",
            f"the IngressClass {wanted} of the Ingress {name(ingress)} doesn't exist",
            _other_class(classes),
            "no-address",
        )
    return Finding(
        "ingress",
        "warn",
        f"the controller of the class {wanted} has given the Ingress {name(ingress)} no address",
        f"it may take a minute; then see kubectl -n {view.namespace} describe ingress {name(ingress)}",
        "no-address",
    )


def _other_class(classes: list[str]) -> str:
    if classes:
        return f"write ingress.className: {classes[0]} (the classes are: {', '.join(classes)})"
    return "install an Ingress controller, or write ingress.enabled: false and use kubectl port-forward"


def _route(view: View, route: Object) -> Finding:
    parents = (route.get("status") or {}).get("parents") or []
    for parent in parents:
        for condition in parent.get("conditions") or []:
            if condition["status"] == "False":
                reason = condition.get("message") or condition["type"]
                return Finding(
                    "ingress",
                    "fail",
                    f"the HTTPRoute {name(route)} isn't served: {reason}",
                    f"kubectl -n {view.namespace} describe httproute {name(route)}",
                    "no-address",
                )
    if not parents:
        return Finding(
            "ingress",
            "fail",
            f"no Gateway has taken up the HTTPRoute {name(route)}",
            "look at httpRoute.parentRefs and the Gateways: kubectl get gateway -A",
            "no-address",
        )
    return Finding("ingress", "ok", f"the HTTPRoute {name(route)} is accepted")
