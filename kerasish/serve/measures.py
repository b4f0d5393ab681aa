"""What a server counts: for Prometheus, and for its page."""

import collections
import threading
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_KEPT = 1000  # latencies of each model that the page's percentiles are of


class Measures:
    """Counts and times by model."""

    def __init__(self):
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "kerasish_requests",
            "Requests answered.",
            ["model", "protocol", "code"],
            registry=registry,
        )
        self._seconds = Histogram(
            "kerasish_request_seconds",
            "Seconds from a request's coming to its answer.",
            ["model", "protocol"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batch_rows = Histogram(
            "kerasish_batch_rows", "Rows of batches.", ["model"], buckets=_ROWS, registry=registry
        )
        self._batch_seconds = Histogram(
            "kerasish_batch_seconds",
            "Seconds to compute a batch.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._queued = Gauge(
            "kerasish_queued_rows", "Rows that wait.", ["model"], registry=registry
        )
        self._version = Gauge(
            "kerasish_model_version", "Version that takes requests.", ["model"], registry=registry
        )
        self._children: dict[tuple, Any] = {}
        self._lock = threading.Lock()
        self._latencies: dict[str, collections.deque] = {}
        self._answered: collections.Counter = collections.Counter()

    def answered(self, model: str, protocol: str, code: int, seconds: float) -> None:
        """Count an answer.

        Args:
            model: Name of the model.
            protocol: Name of the protocol.
            code: HTTP's status.
            seconds: Seconds.
        """
        key = model, protocol, code
        found = self._children.get(key)
        if found is None:
            counter = self._requests.labels(model, protocol, str(code))
            found = self._children[key] = counter, self._seconds.labels(model, protocol)
        found[0].inc()
        found[1].observe(seconds)
        if code == 200:
            with self._lock:
                self._answered[model] += 1
                self._latencies.setdefault(model, collections.deque(maxlen=_KEPT)).append(seconds)

    def batch(self, model: str, rows: int, seconds: float) -> None:
        """Count a batch.

        Args:
            model: Name of the model.
            rows: Number of rows.
            seconds: Seconds.
        """
        self._batch_rows.labels(model).observe(rows)
        self._batch_seconds.labels(model).observe(seconds)

    def of(self, model: str) -> dict:
        """Answers so far, and percentiles of the last ones' milliseconds.

        Args:
            model: Name of the model.
        """
        with self._lock:
            count, latencies = self._answered[model], list(self._latencies.get(model, ()))
        if not latencies:
            return {"answered": count, "p50_ms": None, "p99_ms": None}
        p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
        return {"answered": count, "p50_ms": round(p50, 3), "p99_ms": round(p99, 3)}

    def text(self, repository: Any) -> bytes:
        """All of it in Prometheus' text form.

        Args:
            repository: The models.
        """
        for name, entry in repository.entries.items():
            version = entry.current
            self._queued.labels(name).set(version.batcher.queued if version else 0)
            self._version.labels(name).set(float(version.number) if version else float("nan"))
        return generate_latest(self._registry)
