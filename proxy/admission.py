"""How many requests may be under way: in all, and for one credential. Refused at once, never queued."""

from collections.abc import Iterable

from proxy.errors import BusyError, HeadTooLargeError, TooManyError
from proxy.options import credential_of
from proxy.server import HEAD_BYTES_MAX


class Admission:
    """`each_max` is for one credential, 0 for no bound of its own."""

    def __init__(self, *, total_max: int, each_max: int) -> None:
        self._total_max = total_max
        self._each_max = each_max
        self._total = 0
        self._each: dict[int, int] = {}

    @property
    def under_way(self) -> int:
        """How many are."""
        return self._total

    def admitted(self, headers: Iterable[tuple[bytes, bytes]]) -> "Admitted":
        """A request counts until the block ends: `with admission.admitted(headers): ...`.

        Raises HeadTooLargeError, BusyError, TooManyError.
        """
        if sum([len(name) + len(value) for name, value in headers]) > HEAD_BYTES_MAX:
            raise HeadTooLargeError(f"the headers are larger than {HEAD_BYTES_MAX // 1024} KiB")
        if self._total >= self._total_max:
            raise BusyError(f"{self._total_max} requests are under way already; try again")
        who = hash(credential_of(headers)) if self._each_max else 0
        if self._each_max and self._each.get(who, 0) >= self._each_max:
            raise TooManyError(f"{self._each_max} requests of yours are under way already; try again")
        return Admitted(self, who)

    def count(self, who: int, by: int) -> None:
        """So many more of someone's requests, or less."""
        self._total += by
        left = self._each.get(who, 0) + by
        if left:
            self._each[who] = left
        else:
            del self._each[who]


class Admitted:
    """One request. A class, not a generator, which takes three calls more."""

    __slots__ = ("_admission", "_who")

    def __init__(self, admission: Admission, who: int) -> None:
        self._admission = admission
        self._who = who

    def __enter__(self) -> None:
        self._admission.count(self._who, 1)

    def __exit__(self, *_: object) -> None:
        self._admission.count(self._who, -1)
