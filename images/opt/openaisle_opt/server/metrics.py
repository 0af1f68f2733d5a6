"""Figures for Prometheus, named as vLLM names the same quantities, so that its dashboards fit."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sanic import HTTPResponse, Request, Sanic

from ..engine_client import EngineClient
from ..startup import Startup, StartupCollector
from .access_log import RequestRecord

disable_created_metrics()

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


class Metrics:
    """The registry of one app; gauges are read from the engine's last word when they are asked for."""

    def __init__(self, model: str, engine: EngineClient, startup: Startup):
        self.registry = CollectorRegistry()

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            family = Histogram(name, text, ["model_name"], buckets=buckets, registry=self.registry)
            return family.labels(model)

        self._model = model
        self._http_requests = Counter(
            "openaisle_http_requests",
            "Answers by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self._finished = Counter(
            "vllm:request_success",
            "Choices that finished, by reason.",
            ["model_name", "finished_reason"],
            registry=self.registry,
        )
        self.first_token = histogram(
            "vllm:time_to_first_token_seconds", "From the request to its first token.", _SECONDS
        )
        self.between_tokens = histogram(
            "vllm:inter_token_latency_seconds",
            "Between the steps that gave a request tokens.",
            _TOKEN_SECONDS,
        )
        self._latency = histogram("vllm:e2e_request_latency_seconds", "From request to end.", _SECONDS)
        self._queue = histogram("vllm:request_queue_time_seconds", "Waiting for the engine.", _SECONDS)
        self._prompt_tokens = histogram("vllm:request_prompt_tokens", "Prompt tokens of a request.", _TOKENS)
        self._generated = histogram(
            "vllm:request_generation_tokens", "Generated tokens of a request.", _TOKENS
        )
        self.registry.register(_EngineCollector(model, engine))
        self.registry.register(StartupCollector(model, startup))

    def count_answer(self, route: str, status: int) -> None:
        """An answer was begun."""
        self._http_requests.labels(route, str(status)).inc()

    def observe_completion(self, record: RequestRecord) -> None:
        """A request for completions has ended."""
        for reason in record.finish_reasons:
            if reason is not None:
                self._finished.labels(self._model, reason).inc()
        self._latency.observe(record.seconds())
        if record.queue_seconds is not None:
            self._queue.observe(record.queue_seconds)
        if record.prompt_tokens is not None:
            self._prompt_tokens.observe(record.prompt_tokens)
            self._generated.observe(record.completion_tokens or 0)


class _EngineCollector(Collector):
    """What the engine said of itself after its last step; nothing before its first."""

    def __init__(self, model: str, engine: EngineClient):
        self._model = model
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        stats = self._engine.stats
        if stats is None:
            return
        used = 1 - stats.num_free_blocks / max(1, stats.num_blocks)
        cached = stats.cached_prompt_tokens
        gauges = (
            ("vllm:num_requests_running", "Sequences in the running batch.", stats.num_running),
            ("vllm:num_requests_waiting", "Sequences that wait for a place in it.", stats.num_waiting),
            ("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.", used),
        )
        counters = (
            ("vllm:num_preemptions", "Sequences set back for want of cache.", stats.num_preemptions),
            ("vllm:prompt_tokens", "Prompt tokens computed.", stats.prompt_tokens),
            ("vllm:generation_tokens", "Tokens generated.", stats.generated_tokens),
            ("vllm:prefix_cache_hits", "Prompt tokens taken from the prefix cache.", cached),
            ("vllm:prefix_cache_queries", "Prompt tokens looked for in it.", cached + stats.prompt_tokens),
        )
        for name, text, value in gauges:
            gauge = GaugeMetricFamily(name, text, labels=["model_name"])
            gauge.add_metric([self._model], value)
            yield gauge
        for name, text, value in counters:
            counter = CounterMetricFamily(name, text, labels=["model_name"])
            counter.add_metric([self._model], value)
            yield counter


def setup_metrics(app: Sanic) -> None:
    """GET /metrics."""

    async def metrics(request: Request) -> HTTPResponse:
        return HTTPResponse(generate_latest(app.ctx.metrics.registry), content_type=CONTENT_TYPE)

    app.add_route(metrics, "/metrics", methods=["GET", "HEAD"], name="metrics")
