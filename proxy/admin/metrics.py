"""`/metrics`: metric families, made from the plain counters at the moment of a scrape.

The names, types and labels are public interface (docs/metrics.md). Label values are bounded: no path, host or
token is ever one. Every value that a label can have is there from the start, with 0: `rate()` and `increase()`
do not see a series' first increment when the series begins with it. `requests_total` alone comes as it comes,
since methods times status codes would be hundreds of empty series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest as render_text
from prometheus_client.openmetrics.exposition import generate_latest as render_openmetrics
from prometheus_client.registry import Collector

from proxy.admin.process import collector as process_collector
from proxy.admin.view import UpstreamView, View
from proxy.errors import KINDS, REASONS
from proxy.stats import CacheOperation, CacheStats, Histogram

_Value = TypeVar("_Value", bound=str)

PREFIX = "cognito_sidecar_"
RESULTS = ("success", "failure")
OUTCOMES = ("replayed", "passed_on", "cooling_down")

NO_UPSTREAM = ""
"""The `upstream` label of what was refused before an upstream was chosen. No upstream can have this name."""

_LAST = "+Inf"

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_END = b"# EOF\n"


class _One(Collector):
    """What prometheus_client renders is a collector: this one has a single family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def render(view: View, *, openmetrics: bool = False) -> bytes:
    """All metrics in Prometheus' text format, or in OpenMetrics."""
    return b"".join(slices(view, openmetrics=openmetrics))


def slices(view: View, *, openmetrics: bool = False) -> Iterator[bytes]:
    """The same, a family at a time. The counters are all read before the first one.

    Twenty upstreams are two thousand lines and take prometheus_client some 20 ms. The server lets the event loop turn
    between two slices, so that a scrape never shows in the latency of requests.
    """
    for family in list(_collect(view)):
        if openmetrics:
            yield bytes(render_openmetrics(_One(family))).removesuffix(_END)  # type: ignore[no-untyped-call]
        else:
            yield render_text(_One(family))
    if openmetrics:
        yield _END


def _collect(view: View) -> Iterator[Metric]:
    upstreams = view.upstreams()
    yield from _tokens(upstreams)
    yield from _traffic(view, upstreams)
    yield from _connections(upstreams)
    yield from _secrets(view)
    if view.token_cache is not None:
        yield from _shared(view.token_cache)
    yield from _program(view)
    yield from process_collector.collect()


def _tokens(upstreams: Sequence[UpstreamView]) -> Iterable[Metric]:
    refreshes = _counter("token_refreshes", "Calls of the token endpoint, by how they ended.", "result")
    failures = _counter("token_refresh_failures", "Failed calls of the token endpoint, by reason.", "reason")
    took = _histogram("token_refresh_duration", "How long calls of the token endpoint took, failed ones included.")
    expiry = _gauge(
        "token_expiry_timestamp",
        "Unix time at which the current token expires. Absent until there is a token.",
        unit="seconds",
    )
    success = _gauge(
        "token_last_success_timestamp",
        "Unix time at which the last token was obtained. Absent until there is one.",
        unit="seconds",
    )
    life = _gauge(
        "token_lifetime",
        "How long the current token lives in all. Absent until there is a token.",
        unit="seconds",
    )
    usable = _gauge("token_usable", "1 while a request is sent with the token that is there, else 0.")
    at_rest = _gauge("token_at_rest", "1 while nothing is renewed since no request came for auth.idle_after, else 0.")
    consecutive = _gauge(
        "token_consecutive_failures",
        "Failed attempts to get a token since the last success, also those told of another sidecar's failed call.",
    )
    required = _gauge("upstream_required", "1 where the sidecar is not ready without this upstream's token, else 0.")
    waiters = _gauge("token_waiters", "Requests that wait for a token right now.")
    in_use = _gauge(
        "client_secret_in_use",
        "1 for the client secret that the token endpoint accepted last, by its place in the configuration.",
        "secret",
    )
    for name, stats, token in ((each.name, each.token_stats, each.token) for each in upstreams):
        refreshes.add_metric([name, "success"], stats.successes)
        refreshes.add_metric([name, "failure"], sum(stats.failures.values()))
        _each(failures, name, REASONS, stats.failures)
        _buckets(took, name, stats.duration)
        if token.expires_at is not None:
            expiry.add_metric([name], token.expires_at)
        if stats.last_success_at is not None:
            success.add_metric([name], stats.last_success_at)
        if token.lifetime is not None:
            life.add_metric([name], token.lifetime)
        usable.add_metric([name], token.usable)
        at_rest.add_metric([name], token.at_rest)
        consecutive.add_metric([name], stats.consecutive_failures)
        waiters.add_metric([name], stats.waiters)
        for place, use in enumerate(token.secrets, 1):
            in_use.add_metric([name, str(place)], use.in_use)
    for each in upstreams:
        required.add_metric([each.name], each.required)
    times = expiry, success, life
    return refreshes, failures, took, *times, usable, at_rest, required, consecutive, waiters, in_use


def _traffic(view: View, upstreams: Sequence[UpstreamView]) -> Iterable[Metric]:
    requests = _counter("requests", "Requests that were answered, by method and status code.", "method", "code")
    took = _histogram("request_duration", "How long requests took, from their head to the end of the response.")
    in_flight = _gauge("requests_in_flight", "Requests that are being served right now.")
    errors = _counter("errors", "Answers that the sidecar gave itself, by name (X-Sidecar-Error).", "error")
    unauthorized = _counter("unauthorized", "Answers 401 of the upstream, by what became of them.", "outcome")
    for name, stats in [*((each.name, each.stats) for each in upstreams), (NO_UPSTREAM, view.unrouted)]:
        for (method, code), count in sorted(stats.requests.items()):
            requests.add_metric([name, method, str(code)], count)
        _each(errors, name, KINDS, stats.errors)
        if name == NO_UPSTREAM:
            continue
        _buckets(took, name, stats.duration)
        in_flight.add_metric([name], stats.in_flight)
        _each(unauthorized, name, OUTCOMES, stats.unauthorized)
    return requests, took, in_flight, errors, unauthorized


def _connections(upstreams: Sequence[UpstreamView]) -> Iterable[Metric]:
    connections = _gauge("upstream_connections", "Open connections to the upstream, by state.", "state")
    connects = _counter("upstream_connects", "Attempts to connect to the upstream, by how they ended.", "result")
    for upstream in upstreams:
        connections.add_metric([upstream.name, "idle"], upstream.connections_idle)
        connections.add_metric([upstream.name, "busy"], upstream.connections_busy)
        _each(connects, upstream.name, RESULTS, upstream.stats.connects)
    return connections, connects


def _secrets(view: View) -> Iterable[Metric]:
    reads = CounterMetricFamily(
        PREFIX + "secret_reads", "Readings of secrets in AWS Secrets Manager, by how they ended.", labels=["result"]
    )
    for result in RESULTS:
        reads.add_metric([result], view.secret_reads.get(result, 0))
    failing = GaugeMetricFamily(
        PREFIX + "secret_reads_failing",
        "Secrets in AWS Secrets Manager whose last reading failed; what was read before is still used.",
        value=sum(secret.failing for secret in view.secrets()),
    )
    return reads, failing


CACHE_RESULTS: Final[Mapping[CacheOperation, Sequence[str]]] = {
    "get": ("hit", "miss", "rejected"),
    "note": ("hit", "miss", "rejected"),
    "lock": ("success", "busy"),
    "put": ("success",),
    "remove": ("success", "miss"),
    "unlock": ("success",),
}
"""What is asked of the shared token cache, and how that may end where the engine works."""
_CACHE_TROUBLES: Final = ("timeout", "connection", "denied", "full", "error")


def _shared(cache: CacheStats) -> Iterable[Metric]:
    operations = CounterMetricFamily(
        PREFIX + "token_cache_operations",
        "What was asked of the shared token cache, by how it ended.",
        labels=["operation", "result"],
    )
    duration = HistogramMetricFamily(
        PREFIX + "token_cache_duration", "How long each of these took.", labels=["operation"], unit="seconds"
    )
    for operation, results in CACHE_RESULTS.items():
        for result in (*results, *_CACHE_TROUBLES):
            operations.add_metric([operation, result], cache.operations[operation, result])
        _buckets(duration, operation, cache.duration.get(operation, Histogram()))
    failures = GaugeMetricFamily(
        PREFIX + "token_cache_consecutive_failures",
        "How often the engine of the shared token cache has failed since it last did all that it was asked for.",
        value=cache.consecutive_failures,
    )
    return operations, duration, failures


def _program(view: View) -> Iterable[Metric]:
    reloads = CounterMetricFamily(
        PREFIX + "config_reloads",
        "Times the configuration was read again, by how that ended; a failure keeps the running one.",
        labels=["result"],
    )
    for result in RESULTS:
        reloads.add_metric([result], view.reloads.get(result, 0))
    reloaded = GaugeMetricFamily(
        PREFIX + "config_last_reload_successful",
        "1 while the running configuration is the one in the files, 0 after a reading that failed.",
        value=view.last_reload_error is None,
    )
    config = GaugeMetricFamily(
        PREFIX + "config_info", "Always 1; the label is the running configuration's hash.", labels=["hash"]
    )
    config.add_metric([view.config_hash], 1)
    build = GaugeMetricFamily(
        PREFIX + "build_info",
        "Always 1; the labels are the program's version and Python's.",
        labels=["version", "python"],
    )
    build.add_metric([view.version, view.python], 1)
    dropped = CounterMetricFamily(
        PREFIX + "log_lines_dropped", "Lines of the log that standard error did not take.", value=view.log_lines_dropped
    )
    return reloads, reloaded, config, build, dropped


def _counter(name: str, help: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, help, labels=["upstream", *labels])


def _gauge(name: str, help: str, *labels: str, unit: str = "") -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, help, labels=["upstream", *labels], unit=unit)


def _histogram(name: str, help: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(PREFIX + name, help, labels=["upstream"], unit="seconds")


def _each(family: CounterMetricFamily, upstream: str, values: Iterable[_Value], counts: Mapping[_Value, int]) -> None:
    """One series for each value that is known beforehand, and for any other that was counted all the same."""
    for value in dict.fromkeys([*values, *counts]):
        family.add_metric([upstream, value], counts.get(value, 0))


def _buckets(family: HistogramMetricFamily, upstream: str, histogram: Histogram) -> None:
    """Ours counts by bucket; the format wants each bucket to hold all that is below its bound, up to +Inf."""
    reached = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*histogram.bounds, None), histogram.counts, strict=True):
        reached += count
        buckets.append((_LAST if bound is None else repr(bound), reached))
    family.add_metric([upstream], buckets, histogram.sum)
