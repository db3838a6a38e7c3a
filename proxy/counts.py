"""Sums as a Prometheus counter, for one event loop: without prometheus-client's look-up and lock at each, as in
timings.py, for a request has five of them."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class Counts(Collector):
    """A counter by the values of its labels; without labels it is there from the start."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._sums: dict[tuple[object, ...], float] = {} if labels else {(): 0.0}

    def add(self, *values: object, by: float = 1.0) -> None:
        """Count under these values of the labels; `by` is finite and not below 0."""
        self._sums[values] = self._sums.get(values, 0.0) + by

    def collect(self) -> Iterator[CounterMetricFamily]:
        """As Prometheus wants it."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, total in self._sums.items():
            family.add_metric([str(value) for value in values], total)
        yield family
