"""What a server counts: for Prometheus, and for its page."""

import bisect
import collections
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_KEPT = 1000  # latencies of each model that the page's percentiles are of


class _Histogram:
    """Values counted by buckets: as cheap as it can be, as each request does it."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds):
        self._bounds, self._counts, self._total = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value):
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._total += value

    def add_to(self, family, labels):
        ends = [*map(str, map(float, self._bounds)), "+Inf"]
        counts = itertools.accumulate(self._counts)
        family.add_metric(labels, list(zip(ends, counts, strict=True)), self._total)


class _Histograms(dict):
    """Histograms by labels, made as they are asked for."""

    def __init__(self, name, text, labels, bounds):
        super().__init__()
        self.name, self.text, self.labels, self._bounds = name, text, labels, bounds

    def __missing__(self, labels):
        self[labels] = found = _Histogram(self._bounds)
        return found

    def family(self):
        found = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        for labels, histogram in self.items():
            histogram.add_to(found, labels)
        return found


class Measures(Collector):
    """Counts and times by model."""

    def __init__(self):
        self._registry = registry = CollectorRegistry()
        self._requests: collections.Counter = collections.Counter()
        self._seconds = _Histograms(
            "kerasish_request_seconds",
            "Seconds from a request's coming to its answer.",
            ["model", "protocol"],
            _SECONDS,
        )
        self._batch_rows = _Histograms("kerasish_batch_rows", "Rows of batches.", ["model"], _ROWS)
        self._batch_seconds = _Histograms(
            "kerasish_batch_seconds", "Seconds to compute a batch.", ["model"], _SECONDS
        )
        self._queued = Gauge(
            "kerasish_queued_rows", "Rows that wait.", ["model"], registry=registry
        )
        self._version = Gauge(
            "kerasish_model_version", "Version that takes requests.", ["model"], registry=registry
        )
        self._lock = threading.Lock()
        self._latencies: dict[str, collections.deque] = {}
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus' library asks for."""
        with self._lock:
            labels = ["model", "protocol", "code"]
            found = CounterMetricFamily("kerasish_requests", "Requests answered.", labels=labels)
            for (model, protocol, code), count in self._requests.items():
                found.add_metric([model, protocol, str(code)], count)
            families = (self._seconds, self._batch_rows, self._batch_seconds)
            yield from [found, *(family.family() for family in families)]

    def answered(self, model: str, protocol: str, code: int, seconds: float) -> None:
        """Count an answer.

        Args:
            model: Name of the model.
            protocol: Name of the protocol.
            code: HTTP's status.
            seconds: Seconds.
        """
        with self._lock:
            self._requests[model, protocol, code] += 1
            self._seconds[model, protocol].observe(seconds)
            if code == 200:
                latencies = self._latencies.get(model)
                if latencies is None:
                    latencies = self._latencies[model] = collections.deque(maxlen=_KEPT)
                latencies.append(seconds)

    def batch(self, model: str, rows: int, seconds: float) -> None:
        """Count a batch.

        Args:
            model: Name of the model.
            rows: Number of rows.
            seconds: Seconds.
        """
        with self._lock:
            self._batch_rows[model,].observe(rows)
            self._batch_seconds[model,].observe(seconds)

    def of(self, model: str) -> dict:
        """Answers so far, and percentiles of the last ones' milliseconds.

        Args:
            model: Name of the model.
        """
        with self._lock:
            count = sum(
                n for (m, _, code), n in self._requests.items() if (m, code) == (model, 200)
            )
            latencies = list(self._latencies.get(model, ()))
        if not latencies:
            return {"answered": count, "p50_ms": None, "p99_ms": None}
        p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
        return {"answered": count, "p50_ms": round(p50, 3), "p99_ms": round(p99, 3)}

    def text(self, repository: Any) -> bytes:
        """All of it in Prometheus' text form.

        Args:
            repository: The models.
        """
        for name, model in repository.models.items():
            version = model.current
            self._queued.labels(name).set(version.batcher.queued if version else 0)
            self._version.labels(name).set(float(version.number) if version else float("nan"))
        return generate_latest(self._registry)
