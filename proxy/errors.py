"""Our own errors, in OpenAI's shape. The upstream's errors are relayed as they came and never pass here.

ProxyError
├── BadRequestError        400  the body cannot be read as a chat request
├── BodyTooLargeError      413  the body is over our cap
├── UpstreamError          502  the model behind us could not be reached or broke off
└── UpstreamTimeoutError   504  it did not answer in time
"""

import msgspec


class ProxyError(Exception):
    """An answer of our own: each class knows its status and OpenAI error type."""

    status = 500
    type = "isocost_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def body(self) -> bytes:
        """The JSON body: {"error": {"message", "type", "param", "code"}}."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": error})


class BadRequestError(ProxyError):
    """The client's body is not a chat request."""

    status = 400
    type = "invalid_request_error"


class BodyTooLargeError(ProxyError):
    """The client's body is over the cap."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class UpstreamError(ProxyError):
    """The upstream could not be reached, or broke off before its headers."""

    status = 502
    type = "upstream_error"
    code = "upstream_unreachable"


class UpstreamTimeoutError(UpstreamError):
    """The upstream did not answer in time."""

    status = 504
    code = "upstream_timeout"
