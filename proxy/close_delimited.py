"""Answers to HTTP/1.0, which knows no chunks: without a length, the end of the connection is the end of the body."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class CloseDelimitedCycle(RequestResponseCycle):
    """uvicorn closes after an HTTP/1.0 answer as it is; this one is also not chunked."""

    _has_length = True

    async def send(self, message: Any) -> None:
        """An ASGI message."""
        if message["type"] == "http.response.start":
            if not any(name.lower() == b"content-length" for name, _ in message.get("headers", ())):
                self.chunked_encoding = False
                self._has_length = False
        elif not self._has_length:
            self.expected_content_length = len(message.get("body", b""))  # as long as it is
        await super().send(message)
