"""What the release's gateway is called, and which Secret holds the clients' keys."""

from __future__ import annotations

from dataclasses import dataclass

from .view import Unseen, View, name


@dataclass(frozen=True)
class Gateway:
    """Names for the commands that the report gives."""

    deployment: str
    keys_secret: str


def gateway_of(view: View) -> Gateway:
    """As the Deployment says, or as the chart would call them where it can't be seen."""
    try:
        deployments = view.of_release("deployments", "adapter")
    except Unseen:
        deployments = []
    for deployment in deployments:
        for volume in deployment["spec"]["template"]["spec"].get("volumes", []):
            if volume["name"] == "keys":
                return Gateway(name(deployment), volume["secret"]["secretName"])
    return Gateway(f"{view.release}-adapter", f"{view.release}-keys")
