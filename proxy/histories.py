"""A resent history is read once: what a request's messages have in common with an earlier request's is taken from it.

Clients send everything that was said with each turn. To split, decode and link it anew would cost a request all of its
conversation; to compare its bytes with what was read before costs next to nothing, and only what differs is read: a
body is split without the messages that are known.

An earlier body is found by a sample of its bytes up to each power of two: the longest beginning that both may have in
common. That is a guess by 64 bytes; what counts is the comparison.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from proxy.errors import BadRequestError
from proxy.lineage import Lineage
from proxy.message import Message, messages_of

_BYTES_MIN = 4_096
"""Shorter bodies are read as fast as they are compared."""

_SAMPLE_BYTES = 64

_BLANK = b" \t\r\n"


def _samples(body: bytes) -> list[bytes]:
    """Bytes spread evenly between each power of two and the one before it."""
    samples = []
    size = _BYTES_MIN // 2
    while size < len(body):
        samples.append(b"%d %b" % (size, body[size // 2 : size : size // (2 * _SAMPLE_BYTES)]))
        size *= 2
    return samples


class History:
    """A list of messages as it was read.

    `same` of them were read before, in a request whose lineage was `before` (None if none was traced); `traced` is to
    be set to this one's. In `body`, which is cut after the last message, the list begins at `start` and each message
    ends at one of `ends`. `samples` are what it is found by.
    """

    __slots__ = ("before", "body", "ends", "field", "messages", "same", "samples", "start", "traced")

    def __init__(
        self,
        messages: tuple[Message, ...],
        body: bytes = b"",
        start: int = 0,
        ends: Sequence[int] = (),
        same: int = 0,
        before: Lineage | None = None,
        field: str = "",
    ) -> None:
        self.field = field
        self.messages = messages
        self.body = body
        self.start = start
        self.ends = ends
        self.same = same
        self.before = before
        self.samples = _samples(body)
        self.traced: Lineage | None = None


class Opened(msgspec.Struct, frozen=True):
    """A body's fields as raw JSON by name; of its messages, the list in `field`, without the first `same`, which are
    those of an `earlier` one."""

    body: bytes
    fields: Mapping[str, bytes]
    field: str
    earlier: History | None = None
    same: int = 0


class Histories:
    """Of one process. `bytes_max` bounds the JSON that is kept; what was read of it takes some four times as much."""

    def __init__(self, *, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[History, None] = OrderedDict()
        self._sampled: dict[bytes, History] = {}

    def open(self, body: bytes, field: str, split: Callable[[bytes], dict[str, bytes]]) -> Opened:
        """A body, `split` by the caller into its fields; raises as `split`."""
        earlier = self._find(body) if self._keeps(body) else None
        if earlier is not None and earlier.field != field:  # a body may have lists for two APIs
            earlier = None
        same = _shared(earlier, body) if earlier is not None else 0
        if earlier is not None and same:
            fields = _fields_of_rest(body, earlier.start, earlier.ends[same - 1], field, split)
            if fields is not None:
                return Opened(body, fields, field, earlier, same)
        return Opened(body, split(body), field)

    def read(self, opened: Opened, split: Callable[[bytes], list[bytes]]) -> History:
        """The messages of a body, their list `split` by the caller; raises as `split` and `messages_of`."""
        earlier, same, given = opened.earlier, opened.same, opened.fields[opened.field]
        items = split(given)
        messages = messages_of(items, same)
        if earlier is not None:
            messages = earlier.messages[:same] + messages
        if not self._keeps(opened.body):
            return History(messages)
        start = opened.body.find(given) if earlier is None else earlier.start
        ends = _ends(opened.body, items, start, earlier.ends[:same] if earlier is not None else ())
        if not ends:
            return History(messages)
        before = earlier.traced if earlier is not None else None
        history = History(messages, opened.body[: ends[-1]], start, ends, same, before, opened.field)
        self._keep(history, earlier)
        return history

    @property
    def kept_bytes(self) -> int:
        """How much JSON is kept."""
        return self._bytes

    def _keeps(self, body: bytes) -> bool:
        return _BYTES_MIN <= len(body) <= self._bytes_max

    def _find(self, body: bytes) -> History | None:
        for sample in reversed(_samples(body)):
            found = self._sampled.get(sample)
            if found is not None:
                return found
        return None

    def _keep(self, history: History, earlier: History | None) -> None:
        """Keep one; the `earlier` one that it goes on from goes as soon as nothing finds it any more."""
        self._kept[history] = None
        self._bytes += len(history.body)
        for sample in history.samples:
            self._sampled[sample] = history
        if earlier is not None and earlier not in map(self._sampled.get, earlier.samples):
            self._drop(earlier)
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, history: History) -> None:
        del self._kept[history]
        self._bytes -= len(history.body)
        for sample in history.samples:
            if self._sampled.get(sample) is history:
                del self._sampled[sample]


NOTHING = History(())
"""No messages."""

UNKNOWN = Histories(bytes_max=0)
"""Keeps none."""


def _shared(earlier: History, body: bytes) -> int:
    """With how many messages of an earlier body this one begins, byte for byte with all that stands before and between
    them: O(log n) comparisons of some 2n bytes in all."""
    ends = earlier.ends
    if body.startswith(earlier.body):
        return len(ends) if _ends_here(body, ends[-1]) else 0
    low, high, start = 0, len(ends) - 1, 0
    while low < high:
        middle = (low + high + 1) // 2
        end = ends[middle - 1]
        if body[start:end] == earlier.body[start:end]:
            low, start = middle, end
        else:
            high = middle - 1
    return low if low and _ends_here(body, start) else 0


def _ends_here(body: bytes, end: int) -> bool:
    """What ends here is a member of the list."""
    return body[end : end + 64].lstrip(_BLANK)[:1] in (b",", b"]")


def _fields_of_rest(
    body: bytes, start: int, end: int, field: str, split: Callable[[bytes], dict[str, bytes]]
) -> dict[str, bytes] | None:
    """The fields of a body without the messages that stand between `start` and `end`; None where the whole must tell:
    it is no JSON, or the list of this field is another one."""
    rest = body[end:].lstrip(_BLANK)
    if rest.startswith(b","):
        rest = rest[1:].lstrip(_BLANK)
        if rest.startswith(b"]"):  # a comma too many
            return None
    short = body[: start + 1] + rest
    try:
        fields = split(short)
    except BadRequestError:
        return None
    given = fields.get(field, b"")
    after = short[start + len(given) :]
    is_alone = f'"{field}"'.encode() not in after and b"\\u" not in after  # of two the last would count
    return fields if given.startswith(b"[") and short.startswith(given, start) and is_alone else None


def _ends(body: bytes, items: Sequence[bytes], start: int, known: Sequence[int]) -> list[int]:
    """Where each member ends; [] where one does not stand in the body as it was read."""
    ends = list(known)
    place = ends[-1] if ends else max(0, start)
    for item in items:
        found = body.find(item, place)
        if found < 0:
            return []
        place = found + len(item)
        ends.append(place)
    return ends
