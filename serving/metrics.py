"""Figures for Prometheus, in a registry of their own, so that two services in one process do not mix.

Several workers of one service share a folder (`FOLDER_VARIABLE`), and each of them tells the figures of all. What a
worker counted stays when it dies; what it said of itself goes.
"""

import os
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["FOLDER_VARIABLE", "ServiceMetrics"]

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Variable by which prometheus_client learns of the folder, when it is imported."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ServiceMetrics:
    """What the service counts. A project is a label only where a model answered for it: callers cannot add labels."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "scorer_requests", "Requests for a score", ["project", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "scorer_seconds", "Seconds to answer a score", ["project"], buckets=_BUCKETS, registry=self._registry
        )
        self.answers = Counter(
            "scorer_answers",
            "Answers made and kept, by the slot and the version that made them",
            ["project", "slot", "version"],
            registry=self._registry,
        )
        self.split_returned = Counter(
            "scorer_split_returned",
            "Requests of the live challenger's share that the champion answered, because the challenger could not",
            ["project"],
            registry=self._registry,
        )
        self.version = Gauge(
            "scorer_model_version",
            "Version that answers now",
            ["project"],
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )
        self.registry_age = Gauge(
            "scorer_registry_age_seconds",
            "Seconds since the registry last answered",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self.workers = Gauge("scorer_workers", "Workers", registry=self._registry, multiprocess_mode="livesum")
        self.shipped = Counter("scorer_log_shipped", "Answers brought to the database", registry=self._registry)
        self.shadow = Counter(
            "scorer_shadow", "Answers the challenger was shown", ["project", "result"], registry=self._registry
        )
        self.snapshot_published = Gauge(
            "scorer_snapshot_published_seconds",
            "When the online snapshot was published, in Unix time",
            ["project"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self.problems = Gauge(
            "scorer_bad_deployments",
            "Deployments that could not be loaded",
            registry=self._registry,
            multiprocess_mode="livemax",
        )

    def text(self) -> bytes:
        """Return all figures in Prometheus' text form, of all workers where there are several."""
        if (folder := os.environ.get(FOLDER_VARIABLE)) is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)
