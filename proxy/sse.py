"""Server-sent events, read along: bytes in any cuts to the data of each event. No I/O, nothing rewritten."""

from collections.abc import Iterator

EVENT_BYTES_MAX = 4 * 2**20
"""An event that never ends must not fill the memory; past this the reader gives up reading (not relaying)."""


class EventReader:
    """Feed it bytes as they come; lines may end in LF, CRLF or CR, and any cut between two bytes is the same."""

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._rest: list[bytes] = []  # pieces of the line that is not ended yet: joined once, not at every cut
        self._data: list[bytes] = []
        self._rest_size = 0
        self._size = 0
        self._after_cr = False
        self.overflowed = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The data of each event that ends in this chunk."""
        if self.overflowed or not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        *lines, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            yield from self._line(self._take_rest() + line)
        self._rest.append(rest)
        self._rest_size += len(rest)
        if self._size + self._rest_size > self._event_bytes_max:
            self.overflowed = True
            self._data.clear()
            self._take_rest()

    def end(self) -> Iterator[bytes]:
        """The data of an event that the stream's end leaves open: some servers forget the last blank line."""
        rest = self._take_rest()
        if rest:
            yield from self._line(rest)
        yield from self._line(b"")

    def _take_rest(self) -> bytes:
        rest = b"".join(self._rest)
        self._rest.clear()
        self._rest_size = 0
        return rest

    def _line(self, line: bytes) -> Iterator[bytes]:
        if not line:
            if self._data:
                yield b"\n".join(self._data)
            self._data.clear()
            self._size = 0
        elif line == b"data" or line.startswith(b"data:"):
            value = line[5:]
            self._data.append(value[1:] if value.startswith(b" ") else value)
            self._size += len(value) + 1
