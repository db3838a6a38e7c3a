"""Exchanges that others recorded with real servers, read from outside the repository where they are to be had."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "recorded_traffic"


FRAMING = ("transfer-encoding", "content-length", "connection", "keep-alive")
"""How a body was sent then, which need not be how it is sent now."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answered chat request: the request's body, and of the response what the wire carried."""

    name: str
    asked: bytes
    body: bytes
    content_type: str
    content_encoding: str

    @property
    def is_stream(self) -> bool:
        return "event-stream" in self.content_type


@dataclass(frozen=True, slots=True)
class Exchange:
    """A recorded request and its response, whole: headers as the wire had them, less those of its framing."""

    name: str
    method: str
    path: str
    asked: bytes
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def recorded_exchanges() -> list[Exchange]:
    """All of them; the test is skipped where they, or the means to read them, are missing."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: it reads the recorded traffic")
    if not FOLDER.is_dir():
        pytest.skip(f"the recorded traffic is missing: {FOLDER}")
    found = []
    for path in sorted(FOLDER.rglob("*.yaml")):
        with path.open("rb") as file:
            exchanges = yaml.load(file, yaml.CSafeLoader)["interactions"]
        for number, exchange in enumerate(exchanges):
            request, response = exchange["request"], exchange["response"]
            body = _bytes(response["body"]["string"])
            unpacked = body[:2] != b"\x1f\x8b"  # recorders unpack some bodies and keep the header
            headers = tuple(
                (name.lower().encode(), value.encode("latin-1", "replace"))
                for name, values in response["headers"].items()
                for value in values
                if name.lower() not in FRAMING and not (unpacked and name.lower() == "content-encoding")
            )
            asked = _bytes(request["body"] or b"")
            target = urlsplit(request["uri"]).path
            name = f"{path.stem} {number}"
            found.append(Exchange(name, request["method"], target, asked, response["status"]["code"], headers, body))
    return found


def recorded_chats() -> list[Recorded]:
    """All chats with a 200."""
    return [
        Recorded(
            each.name,
            each.asked,
            each.body,
            dict(each.headers)[b"content-type"].decode(),
            dict(each.headers).get(b"content-encoding", b"").decode(),
        )
        for each in recorded_exchanges()
        if each.path.endswith("/chat/completions") and each.status == 200
    ]


def _bytes(body: str | bytes) -> bytes:
    return body if isinstance(body, bytes) else body.encode()
