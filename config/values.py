"""Kinds of text settings that pydantic has no type for."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr


def _starts_with(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if value and not value.startswith(schemes):
            raise ValueError(f"should be empty or start with {', '.join(schemes)}")
        return value

    return AfterValidator(check)


def _header_safe(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("should be printable ASCII without spaces or line breaks: it is sent in a header")
    return key


HttpUrl = Annotated[str, _starts_with("http://", "https://")]
StoreUrl = Annotated[
    str,
    _starts_with("sqlite:///", "memory://", "redis://", "rediss://", "redis+sentinel://", "redis+cluster://"),
]
Key = Annotated[SecretStr, AfterValidator(_header_safe)]
