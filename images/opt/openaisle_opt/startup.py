"""How far a server is on its way to its first request: as its health, in words, and as figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Status = Literal["downloading", "loading", "ready", "draining"]


@dataclass
class Startup:
    """What is being done now, and how much of it."""

    status: Status = "loading"
    phase: str = "starting"
    """What is being done before the server is ready, in words."""
    fraction: float | None = None
    """How far that is, 0 to 1; None if it is not known."""

    @property
    def is_under_way(self) -> bool:
        """Whether there is a phase to tell of."""
        return self.status in ("downloading", "loading")

    def report(self, phase: str, fraction: float | None) -> None:
        """Note how far it is now."""
        self.phase, self.fraction = phase, fraction

    def words(self) -> str:
        """For people: `loading the weights, 42%`."""
        return self.phase if self.fraction is None else f"{self.phase}, {self.fraction:.0%}"

    def answer(self) -> dict[str, object]:
        """The body of /health/ready."""
        if self.is_under_way:
            return {"status": self.status, "phase": self.phase, "fraction": self.fraction}
        return {"status": self.status}


class StartupCollector(Collector):
    """The figures of one model's start."""

    def __init__(self, model: str, startup: Startup):
        self._model = model
        self._startup = startup

    def collect(self) -> Iterator[Metric]:
        startup = self._startup
        status = GaugeMetricFamily(
            "openaisle_status",
            "1 for what the server is at, 0 for the rest.",
            labels=["model_name", "status"],
        )
        for value in get_args(Status):
            status.add_metric([self._model, value], float(value == startup.status))
        yield status
        if startup.is_under_way and startup.fraction is not None:
            fraction = GaugeMetricFamily(
                "openaisle_startup_fraction",
                "How far the download or the loading of the weights is, 0 to 1.",
                labels=["model_name"],
            )
            fraction.add_metric([self._model], startup.fraction)
            yield fraction
