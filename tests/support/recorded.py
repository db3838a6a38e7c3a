"""Exchanges that others recorded with real servers, read from outside the repository where they are to be had."""

from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "recorded_traffic"


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


def recorded_chats() -> list[Recorded]:
    """All chats with a 200; the test is skipped where they, or the means to read them, are missing."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: it reads the recorded traffic")
    if not FOLDER.is_dir():
        pytest.skip(f"the recorded traffic is missing: {FOLDER}")
    found = []
    for path in sorted(FOLDER.rglob("*.yaml")):
        with path.open("rb") as file:
            exchanges = yaml.load(file, yaml.CSafeLoader)["interactions"]
        for number, exchange in enumerate(exchanges):
            request, response = exchange["request"], exchange["response"]
            if request["uri"].endswith("/chat/completions") and response["status"]["code"] == 200:
                headers = {name.lower(): values[0] for name, values in response["headers"].items()}
                body = _bytes(response["body"]["string"])
                encoding = headers.get("content-encoding", "") if body[:2] == b"\x1f\x8b" else ""
                name = f"{path.stem} {number}"
                found.append(Recorded(name, _bytes(request["body"]), body, headers["content-type"], encoding))
    return found


def _bytes(body: str | bytes) -> bytes:
    return body if isinstance(body, bytes) else body.encode()
