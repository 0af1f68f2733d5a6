"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from .access_log import Record
from .backends import Backends
from .hold import Hold

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The adapter's figures; one registry for each app, so that tests can have several."""

    def __init__(self, backends: Backends, hold: Hold):
        self._registry = CollectorRegistry()
        self._registry.register(_BackendCollector(backends))
        self._requests = Counter(
            "openaisle_adapter_requests",
            "Answers by model and status.",
            ["model", "code"],
            registry=self._registry,
        )
        self._key_requests = Counter(
            "openaisle_adapter_key_requests",
            "Answers to completions by the key's name and the model.",
            ["key", "model"],
            registry=self._registry,
        )
        self._key_tokens = Counter(
            "openaisle_adapter_key_tokens",
            "Tokens of prompts and completions by the key's name and the model.",
            ["key", "model", "kind"],
            registry=self._registry,
        )
        self._key_refusals = Counter(
            "openaisle_adapter_key_refusals",
            "Requests that were refused because the key had used up a limit.",
            ["key", "limit"],
            registry=self._registry,
        )
        self._first_byte = Histogram(
            "openaisle_adapter_first_byte_seconds",
            "From a request's head to the first byte of the model server's answer.",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._total = Histogram(
            "openaisle_adapter_request_seconds",
            "From a request's head to the end of the model server's answer.",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "openaisle_adapter_requests_in_flight",
            "Requests being answered now.",
            registry=self._registry,
        )
        Gauge(
            "openaisle_adapter_waiting_requests",
            "Requests that wait for a replica of their model.",
            registry=self._registry,
        ).set_function(lambda: hold.waiting)

    def count(self, record: Record) -> None:
        """Count a finished request."""
        model = record.model or ""
        self._requests.labels(model, str(record.status)).inc()
        if record.relayed and record.model:
            self._key_requests.labels(record.key or "", model).inc()
            if record.usage is not None:
                tokens = {"prompt": record.usage.prompt_tokens, "completion": record.usage.completion_tokens}
                for kind, number in tokens.items():
                    self._key_tokens.labels(record.key or "", model, kind).inc(number)
            self._total.labels(model).observe(record.elapsed_s)
            if record.first_byte_s is not None:
                self._first_byte.labels(model).observe(record.first_byte_s)

    def count_refusal(self, key: str, limit: str) -> None:
        """Count a request that was refused because of one of its key's limits."""
        self._key_refusals.labels(key, limit).inc()

    def page(self) -> bytes:
        """Everything in Prometheus' text form."""
        return generate_latest(self._registry)


class _BackendCollector:
    """The state of the replicas at the moment of a scrape: replicas that are gone leave no trace."""

    def __init__(self, backends: Backends):
        self._backends = backends

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily(
            "openaisle_adapter_backend_up", "1 if the replica is given requests.", labels=["backend"]
        )
        outstanding = GaugeMetricFamily(
            "openaisle_adapter_backend_outstanding_requests",
            "Requests that the replica is working on for this adapter.",
            labels=["backend"],
        )
        ready = set(self._backends.ready_urls())
        for url in self._backends.urls():
            up.add_metric([url], float(url in ready))
            outstanding.add_metric([url], self._backends.outstanding(url))
        yield up
        yield outstanding
