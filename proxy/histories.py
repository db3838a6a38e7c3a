"""A resent history is read once: what a request's messages have in common with an earlier request's is taken from it.

Clients send everything that was said with each turn. To split, decode and link it anew would cost a request all of its
conversation; to compare its bytes with what was read before costs next to nothing, and only what differs is read.

An earlier list is found by a sample of its bytes up to each power of two: the longest beginning that both may have in
common. That is a guess by 64 bytes; what counts is the comparison.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from proxy.errors import BadRequestError
from proxy.lineage import Lineage
from proxy.message import Message, messages_of

_BYTES_MIN = 4_096
"""Shorter lists are read as fast as they are compared."""

_SAMPLE_BYTES = 64

_BLANK = b" \t\r\n"


class History:
    """A list of messages as it was read.

    `same` of them were read before, in a request whose lineage was `before` (None if none was traced); `traced` is to
    be set to this one's.
    """

    __slots__ = ("before", "body", "ends", "messages", "same", "traced")

    def __init__(
        self,
        messages: tuple[Message, ...],
        body: bytes = b"",
        ends: Sequence[int] = (),
        same: int = 0,
        before: Lineage | None = None,
    ) -> None:
        self.messages = messages
        self.body = body
        self.ends = ends
        self.same = same
        self.before = before
        self.traced: Lineage | None = None


class Histories:
    """Of one process. `bytes_max` bounds the JSON that is kept; what was read of it takes some four times as much."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[History, None] = OrderedDict()
        self._sampled: dict[bytes, History] = {}

    def read(self, raw: bytes, split: Callable[[bytes], list[bytes]]) -> History:
        """The messages of a JSON list, `split` by the caller; raises as `split` and `messages_of`."""
        if not _BYTES_MIN <= len(raw) <= self._bytes_max:
            return History(messages_of(split(raw)))
        earlier = self._find(raw)
        same = _shared(earlier, raw) if earlier is not None else 0
        if earlier is None or not same:
            return self._remembered(raw, split(raw), History((), raw))
        try:
            known = History(earlier.messages[:same], raw, earlier.ends[:same], same, earlier.traced)
            return self._remembered(raw, _rest(raw, known.ends[-1], split), known, earlier)
        except BadRequestError:  # to be told of by its place in the whole list
            return History(messages_of(split(raw)))

    @property
    def kept_bytes(self) -> int:
        """How much JSON is kept."""
        return self._bytes

    def _find(self, raw: bytes) -> History | None:
        for sample in reversed(list(_samples(raw))):
            found = self._sampled.get(sample)
            if found is not None:
                return found
        return None

    def _remembered(
        self, raw: bytes, items: Sequence[bytes], known: History, earlier: History | None = None
    ) -> History:
        """What was known and what is new."""
        messages = known.messages + messages_of(items)
        ends = _ends(raw, items, known.ends)
        if ends is None or not ends:
            return History(messages)
        history = History(messages, raw[: ends[-1]], ends, known.same, known.before)
        self._keep(history)
        if earlier is not None and not any(self._sampled.get(each) is earlier for each in _samples(earlier.body)):
            self._drop(earlier)
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))
        return history

    def _keep(self, history: History) -> None:
        self._kept[history] = None
        self._bytes += len(history.body)
        for sample in _samples(history.body):
            self._sampled[sample] = history

    def _drop(self, history: History) -> None:
        del self._kept[history]
        self._bytes -= len(history.body)
        for sample in _samples(history.body):
            if self._sampled.get(sample) is history:
                del self._sampled[sample]


NOTHING = History(())
"""No messages."""

UNKNOWN = Histories(bytes_max=0)
"""Keeps none."""


def _samples(raw: bytes) -> Iterator[bytes]:
    """Bytes spread evenly between each power of two and the one before it."""
    size = _BYTES_MIN // 2
    while size < len(raw):
        yield b"%d %b" % (size, raw[size // 2 : size : size // (2 * _SAMPLE_BYTES)])
        size *= 2


def _shared(earlier: History, raw: bytes) -> int:
    """How many messages both lists begin with, byte for byte, blanks between them included: O(log n) comparisons of
    some 2n bytes in all."""
    ends, body = earlier.ends, earlier.body
    if raw.startswith(body):
        return len(ends) if _ends_here(raw, ends[-1]) else 0
    low, high, start = 0, len(ends) - 1, 0
    while low < high:
        middle = (low + high + 1) // 2
        end = ends[middle - 1]
        if raw[start:end] == body[start:end]:
            low, start = middle, end
        else:
            high = middle - 1
    return low if low and _ends_here(raw, start) else 0


def _ends_here(raw: bytes, end: int) -> bool:
    """What ends here is a member of the list."""
    return raw[end : end + 64].lstrip(_BLANK)[:1] in (b",", b"]")


def _rest(raw: bytes, end: int, split: Callable[[bytes], list[bytes]]) -> list[bytes]:
    """The members after the one that ends here."""
    rest = raw[end:].lstrip(_BLANK)
    return split(b"[" + rest[1:]) if rest.startswith(b",") else []


def _ends(raw: bytes, items: Sequence[bytes], known: Sequence[int]) -> list[int] | None:
    """Where each member ends; None where one does not stand in the list as it was read."""
    ends = list(known)
    place = ends[-1] if ends else 0
    for item in items:
        found = raw.find(item, place)
        if found < 0:
            return None
        place = found + len(item)
        ends.append(place)
    return ends
