"""What a client proves itself with, found wherever it stands."""

import pytest

from proxy.credentials import impersonal, proves, query_without_credentials, without_credentials

KNOWN = (
    b"authorization api-key x-api-key x-goog-api-key ocp-apim-subscription-key x-auth-token cookie x-amz-security-token"
).split()


@pytest.mark.parametrize("name", KNOWN)
def test_no_credential_is_kept(name):
    other = (b"content-type", b"application/json")
    for written in (name, name.title()):
        assert without_credentials([(written, b"secret"), other]) == [other]
        assert impersonal([(written, b"secret"), other]) == [other]


def test_what_is_not_known_is_not_told_to_a_stranger():
    told = [(b"accept", b"*/*"), (b"User-Agent", b"OpenAI/1"), (b"x-stainless-lang", b"python"), (b"traceparent", b"1")]
    assert impersonal([*told, (b"x-corporate-token", b"secret"), (b"x-vendor", b"1")]) == told
    assert without_credentials([(b"x-vendor", b"1")]) == [(b"x-vendor", b"1")]


def test_a_cookie_proves_nothing_to_an_api():
    assert not proves([(b"cookie", b"a=1"), (b"accept", b"*/*")])
    assert all(proves([(name, b"x")]) for name in KNOWN if name not in (b"cookie", b"x-amz-security-token"))


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"", b""),
        (b"key=secret", b""),
        (b"a=1&KEY=secret&b", b"a=1&b"),
        (b"api-version=2024&subscription-key=secret", b"api-version=2024"),
        (b"monkey=1&a=%26key=2", b"monkey=1&a=%26key=2"),
    ],
)
def test_credentials_leave_a_query(query, kept):
    assert query_without_credentials(query) == kept
