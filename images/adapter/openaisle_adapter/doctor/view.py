"""What the doctor saw of the cluster, as the API server gave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

Object = dict[str, Any]

COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
NAME = "app.kubernetes.io/name"
MODEL_NAME = "openaisle.io/model-name"


class Unseen(Exception):
    """The account may not list this kind of objects."""

    def __init__(self, kind: str):
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class View:
    """The objects of a release's namespace, and of the cluster where the account may read them."""

    namespace: str
    release: str
    objects: Mapping[str, list[Object] | None]
    """By kind in the plural, as `kubectl get` names it; None: the account may not list them."""
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    chart: str | None = None
    """What the chart is called in the release, which may have it twice; None: there is only one."""

    def all(self, kind: str) -> list[Object]:
        """Every object of the kind.

        Raises:
            Unseen: the account may not list them.
        """
        found = self.objects.get(kind)
        if found is None:
            raise Unseen(kind)
        return found

    def of_release(self, kind: str, component: str = "") -> list[Object]:
        """The release's own objects of the kind, of one component or of all.

        Raises:
            Unseen: see `all`.
        """
        return [
            item
            for item in self.all(kind)
            if labels(item).get(INSTANCE) == self.release
            and self.chart in (None, labels(item).get(NAME))
            and (not component or labels(item).get(COMPONENT) == component)
        ]

    def seconds_since(self, time: str) -> float:
        """Seconds between a time that Kubernetes wrote and now; 0 for none."""
        if not time:
            return 0.0
        return (self.now - datetime.fromisoformat(time.replace("Z", "+00:00"))).total_seconds()


def name(item: Object) -> str:
    """An object's name."""
    return str(item["metadata"]["name"])


def labels(item: Object) -> dict[str, str]:
    """An object's labels."""
    return item["metadata"].get("labels") or {}


def some(names: list[str], most: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
