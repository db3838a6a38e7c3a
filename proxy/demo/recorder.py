"""What did the upstream really receive? ASGI middleware that keeps the newest prompt."""

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.demo.answers import text_of

_KEPT = ("/chat/completions", "/responses")


class Recorder:
    """Wraps an OpenAI-compatible app and keeps the body of the last POST of a chat or a response.

    One body is held at a time; the app behind sees every message as it came.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._body = b""

    @property
    def body(self) -> bytes:
        """The last request body, whole; empty before the first."""
        return self._body

    def prompt(self) -> str:
        """The texts of the last request's messages, joined by newlines; empty if there are none to read."""
        try:
            asked = json.loads(self._body)
            return "\n".join(text_of(message) for message in asked["messages"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_chat = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith(_KEPT)
        await self._app(scope, self._copying(receive) if is_chat else receive, send)

    def _copying(self, receive: Receive) -> Receive:
        pieces: list[bytes] = []

        async def copied() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                pieces.append(message.get("body", b""))
                if not message.get("more_body", False):
                    self._body = b"".join(pieces)
            return message

        return copied
