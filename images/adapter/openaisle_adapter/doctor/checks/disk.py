"""Nodes under pressure, from which pods are evicted and to which none come."""

from __future__ import annotations

from collections.abc import Iterator

from ..finding import Finding
from ..view import View, name, some

PRESSURES = {
    "DiskPressure": "free space there: old images (crictl rmi --prune) and logs; weights belong on a claim",
    "MemoryPressure": "move pods away from it, or lower their memory requests",
    "PIDPressure": "look for a pod there that starts processes without end",
}


def check_pressure(view: View) -> Iterator[Finding]:
    """A line for each node under pressure, or one that says that there is none.

    Raises:
        Unseen: the account may not list nodes.
    """
    nodes = view.all("nodes")
    troubled = False
    for node in nodes:
        for condition in node["status"].get("conditions") or []:
            if condition["type"] in PRESSURES and condition["status"] == "True":
                troubled = True
                yield Finding(
                    "pressure",
                    "fail",
                    f"the node {name(node)} reports {condition['type']}",
                    PRESSURES[condition["type"]],
                    "evicted",
                )
    if not troubled:
        yield Finding("pressure", "ok", f"no node is short of disk, memory or processes ({_names(nodes)})")


def _names(nodes: list[dict[str, object]]) -> str:
    return some([name(node) for node in nodes])
