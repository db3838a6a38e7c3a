"""Stage timings and counters, for /metrics. One registry an application, so that two can live in one process."""

import time
from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from proxy.counts import Counts
from proxy.timings import Timings

STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Stage:
    """One measurement. A class, not a generator: there are five a request."""

    __slots__ = ("_clock", "_name", "_started", "_timings")

    def __init__(self, clock: Callable[[], float], timings: Timings, name: str) -> None:
        self._clock = clock
        self._timings = timings
        self._name = name
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = self._clock()

    def __exit__(self, *_: object) -> None:
        self._timings.observe(self._clock() - self._started, self._name)


class Metrics:
    """The names are part of the outside: dashboards are built on them. `clock` times the stages, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        stages = Timings("isocost_stage_seconds", "Time spent in a stage of a request", STAGE_BUCKETS_S, "stage")
        self.stage: Callable[[str], Stage] = partial(Stage, clock, stages)
        """Times a stage of a request: `with metrics.stage("parse"): ...`."""
        self.overhead = Timings("isocost_overhead_seconds", "Our time before the upstream was asked", STAGE_BUCKETS_S)
        registry.register(stages)
        registry.register(self.overhead)
        self.requests = self._counts("isocost_requests", "Chat requests", "mode", "status")
        self.tokens = self._counts("isocost_tokens", "Prompt tokens: of full history, and really sent", "kind")
        self.price = self._counts(
            "isocost_price", "Price of prompts in fresh input tokens: paid, and of cached full history (rival)", "kind"
        )
        self.epochs = self._counts("isocost_epochs", "Epochs begun", "why")
        self.memory_errors = self._counts("isocost_memory_errors", "Requests that went through unchanged", "reason")
        self.learned = self._counts("isocost_learned", "Exchanges by what became of them", "outcome")
        self.late_acks = self._counts("isocost_late_acknowledgements", "Thin turns answered before they were stored")
        self.learner_queue = Gauge("isocost_learner_queue", "Exchanges waiting to be learned", registry=registry)
        self.ledger_queue = Gauge("isocost_ledger_queue", "Ledger rows waiting to be written", registry=registry)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)

    def _counts(self, name: str, text: str, *labels: str) -> Counts:
        counts = Counts(name, text, labels)
        self.registry.register(counts)
        return counts
