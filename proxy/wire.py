"""OpenAI JSON <-> ChatRequest. Every field but `messages` stays the client's own bytes, known to us or not.

The body is split, not parsed: top-level fields and messages remain raw JSON, and only messages are decoded. So a
number keeps its digits, an unknown field its order, and what was read with an earlier request costs nothing again.

/v1/responses has its own reading in responses.py. A third shape, /v1/messages (Anthropic's, which vLLM, Ollama and
llama.cpp serve too), passes through like any path: its place is another `parse` beside these two, to a ChatRequest
whose `field` is "messages" again, with `system` as a head and tool results told apart from what a user says.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from config.prices import LONGEST_NAME
from proxy import lenient
from proxy.errors import BadRequestError
from proxy.histories import UNKNOWN, Histories, History
from proxy.message import MALFORMED, Message, encode

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class ChatRequest(msgspec.Struct, frozen=True):
    """A request as it came: `body` whole, `fields` raw by name, `history` read from the one named `field`, which holds
    no more than what is new in it. With a body alone it is one that we do not read."""

    body: bytes
    fields: Mapping[str, bytes] = MappingProxyType({})
    history: History = msgspec.field(default_factory=lambda: History(()))
    model: str = ""
    stream: bool = False
    field: str = "messages"

    @property
    def messages(self) -> tuple[Message, ...]:
        """All of them, oldest first."""
        return self.history.messages


def parse(body: bytes, histories: Histories = UNKNOWN) -> ChatRequest:
    """Bytes to ChatRequest; raises BadRequestError for what no upstream could read.

    Anything else that may be wrong (roles, parameters) is the upstream's to judge.
    """
    opened = histories.open(body, "messages", split_fields)
    fields = opened.fields
    if "messages" not in fields:
        raise BadRequestError("missing required field: 'messages'", param="messages")
    history = histories.read(opened, lambda raw: items_of(raw, "messages"))
    if not history.messages:
        raise BadRequestError("'messages' is empty: expected at least one message", param="messages")
    return ChatRequest(body, fields, history, model_of(fields), fields.get("stream") == b"true")


def with_messages(request: ChatRequest, messages: Sequence[bytes], **added: str) -> bytes:
    """The request's body with other messages; all other fields byte for byte, in their order, then those `added`."""
    replaced = b"[" + b",".join(messages) + b"]"
    fields = {name: replaced if name == request.field else value for name, value in request.fields.items()}
    fields |= {name: encode(value) for name, value in added.items() if name not in fields}
    return b"{" + b",".join(encode(name) + b":" + value for name, value in fields.items()) + b"}"


def split_fields(body: bytes) -> dict[str, bytes]:
    """A body's fields as raw JSON; raises BadRequestError for what is no JSON object."""
    try:
        return {name: bytes(value) for name, value in _decode_fields(body).items()}
    except MALFORMED as error:
        return _split_leniently(body, error)


def items_of(raw: bytes, name: str) -> list[bytes]:
    """The members of a list, as raw JSON; raises BadRequestError that names the field for what is no list."""
    try:
        return [bytes(item) for item in _decode_items(raw)]
    except MALFORMED:
        if not raw.startswith(b"["):
            raise BadRequestError(f"'{name}' must be a list of messages", param=name) from None
        return lenient.members(raw.decode())


def model_of(fields: Mapping[str, bytes]) -> str:
    """The model's name; of a longer one what is looked at: it is kept in many places, and a client's to choose."""
    return text_field(fields, "model")[:LONGEST_NAME]


def text_field(fields: Mapping[str, bytes], name: str) -> str:
    """A field that is text; "" for any other."""
    try:
        return msgspec.json.decode(fields.get(name, b'""'), type=str)
    except MALFORMED:
        return ""


def _split_leniently(body: bytes, strict: Exception) -> dict[str, bytes]:
    try:
        fields = lenient.split_object(body)
    except ValueError:
        raise BadRequestError(f"the body is not valid JSON: {_reason(strict)}") from None
    if fields is None:
        raise BadRequestError("the body must be a JSON object")
    return fields


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
