"""How many requests may be under way: in all, and for one credential. Refused at once, never queued."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from proxy.errors import BusyError, HeadTooLargeError, TooManyError
from proxy.options import credential_of
from proxy.server import HEAD_BYTES_MAX


class Admission:
    """`each_max` is for one credential, 0 for no bound of its own."""

    def __init__(self, *, total_max: int, each_max: int) -> None:
        self._total_max = total_max
        self._each_max = each_max
        self._total = 0
        self._each: Counter[int] = Counter()

    @property
    def under_way(self) -> int:
        """How many are."""
        return self._total

    @contextmanager
    def admitted(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[None]:
        """While the block runs a request counts. Raises HeadTooLargeError, BusyError, TooManyError."""
        if sum([len(name) + len(value) for name, value in headers]) > HEAD_BYTES_MAX:
            raise HeadTooLargeError(f"the headers are larger than {HEAD_BYTES_MAX // 1024} KiB")
        if self._total >= self._total_max:
            raise BusyError(f"{self._total_max} requests are under way already; try again")
        who = hash(credential_of(headers)) if self._each_max else 0
        if self._each_max and self._each[who] >= self._each_max:
            raise TooManyError(f"{self._each_max} requests of yours are under way already; try again")
        self._total += 1
        self._each[who] += 1
        try:
            yield
        finally:
            self._total -= 1
            self._each[who] -= 1
            if not self._each[who]:
                del self._each[who]
