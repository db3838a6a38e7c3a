"""What a client proves itself with, wherever it stands: so that it goes to whom it is meant for and to nobody else."""

from collections.abc import Iterable

from proxy.headers import Headers

PROOFS = frozenset(b"authorization api-key x-api-key x-goog-api-key ocp-apim-subscription-key x-auth-token".split())
"""Headers (names in lower case) that say who asks: OpenAI's, Azure's, Anthropic's, Google's, API gateways'."""

_PRIVATE = PROOFS | frozenset(b"cookie x-amz-security-token".split())

_QUERIED = frozenset(b"key api_key api-key apikey access_token token subscription-key".split())

_IMPERSONAL = frozenset(
    b"accept accept-encoding accept-language content-type content-encoding content-length user-agent traceparent "
    b"tracestate x-request-id x-client-request-id idempotency-key openai-beta transfer-encoding".split()
)


def proves(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """A credential is among them."""
    return not PROOFS.isdisjoint([name for name, _ in headers])


def without_credentials(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The same less what says who asks."""
    return [(name, value) for name, value in headers if name.lower() not in _PRIVATE]


def query_without_credentials(query: bytes) -> bytes:
    """A query string, its other parameters as they were written."""
    if not query:
        return query
    return b"&".join(part for part in query.split(b"&") if part.partition(b"=")[0].lower() not in _QUERIED)


def impersonal(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Those that are known to hold no credential, under whatever name: for a server that the client did not choose."""
    return [
        (name, value)
        for name, value in headers
        if name.lower() in _IMPERSONAL or name.lower().startswith(b"x-stainless-")
    ]
