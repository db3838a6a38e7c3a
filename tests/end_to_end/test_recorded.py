"""What real servers and clients once said replays through the proxy as it does directly: every recorded exchange."""

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from tests.support import upstreams
from tests.support.proxying import proxied
from tests.support.recorded import Exchange, recorded_exchanges

KEY = {"authorization": "Bearer key", "content-type": "application/json"}


class Replay:
    """Answers with the recording at hand, whole or in pieces, and keeps what it was asked."""

    def __init__(self) -> None:
        self.now: Exchange
        self.cut = 0
        self.asked = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.asked, more = b"", True
        while more:
            event = await receive()
            self.asked += event.get("body", b"")
            more = event.get("more_body", False)

        async def ended() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        now = self.now
        await upstreams.canned(now.body, status=now.status, headers=now.headers, cut=self.cut)(scope, ended, send)


async def heard(client: httpx.AsyncClient, url: str, each: Exchange) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers but ours, and the bytes of the body."""
    request = client.build_request(each.method, url + each.path, content=each.asked, headers=KEY)
    response = await client.send(request, stream=True)
    try:
        body = b"".join([part async for part in response.aiter_raw()])
    finally:
        await response.aclose()
    headers = [(name.lower(), value) for name, value in response.headers.raw]
    return response.status_code, [one for one in headers if not one[0].startswith(b"x-isocost-")], body


@pytest.mark.parametrize("cut", [0, 100])
async def test_every_recording_replays_as_it_does_directly(cut: int):
    recordings = recorded_exchanges()
    assert len(recordings) > 50
    replay = Replay()
    replay.cut = cut
    async with proxied(replay) as pair:
        for each in recordings:
            replay.now = each
            direct = await heard(pair.client, pair.upstream_url, each)
            through = await heard(pair.client, pair.url, each)
            assert replay.asked == each.asked, each.name
            assert through == direct, each.name
            assert through[0] == each.status
            assert through[2] == each.body
