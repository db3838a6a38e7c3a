"""Our own errors, in OpenAI's shape. The upstream's errors are relayed as they came and never pass here.

ProxyError
├── BadRequestError        400  the body cannot be read as a chat request
├── ModelNotFoundError     404  no upstream serves this model
├── RequestTimeoutError    408  the rest of it does not come
├── BodyTooLargeError      413  the body is over our cap
├── HeadTooLargeError      431  the headers are
├── TooManyError           429  as many requests of this credential are under way as we take
├── UnknownCodingError     501  the body comes in a transfer coding that we do not take off
├── BusyError              503  as many requests are
└── UpstreamError          502  the model behind us broke off
    ├── UnreachableError   502  it could not be reached
    └── UpstreamTimeoutError 504  it did not answer in time
"""

import msgspec


class ProxyError(Exception):
    """An answer of our own: each class knows its status, OpenAI error type, and further headers."""

    status = 500
    type = "isocost_error"
    code: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()

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


class RequestTimeoutError(ProxyError):
    """The client has begun a request and does not go on."""

    status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class BodyTooLargeError(ProxyError):
    """The client's body is over the cap."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class ModelNotFoundError(ProxyError):
    """Of several upstreams none serves this model."""

    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class HeadTooLargeError(ProxyError):
    """The client's headers are over the cap."""

    status = 431
    type = "invalid_request_error"
    code = "headers_too_large"


class UnknownCodingError(ProxyError):
    """The client's body comes in a transfer coding that we do not take off."""

    status = 501
    type = "invalid_request_error"
    code = "unknown_transfer_encoding"


class TooManyError(ProxyError):
    """As many requests of this credential are under way as we take."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    headers = ((b"retry-after", b"1"),)


class BusyError(ProxyError):
    """As many requests are under way as we take."""

    status = 503
    type = "server_error"
    code = "overloaded"
    headers = ((b"retry-after", b"1"),)


class UpstreamError(ProxyError):
    """The upstream could not be reached, or broke off before its headers."""

    status = 502
    type = "upstream_error"
    code = "upstream_unreachable"


class UnreachableError(UpstreamError):
    """No connection was made: nothing was sent."""


class UpstreamTimeoutError(UpstreamError):
    """The upstream did not answer in time."""

    status = 504
    code = "upstream_timeout"
