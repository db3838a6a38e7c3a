"""Where an upstream is, what of a client's path and headers it is told, and what is shown of its URL."""

import pytest

from proxy.errors import BadRequestError
from proxy.headers import end_to_end
from proxy.upstream import Target, origin_of, raw_path


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (Target("http://ann@host"), b"Basic YW5uOg=="),
        (Target("http://ann:p%3Ass@host"), b"Basic YW5uOnA6c3M="),
        (Target("http://ann:pass@host", "ours"), b"Bearer ours"),
        (Target("http://ann:pass@host", headers=((b"authorization", b"set"),)), b"set"),
        (Target("http://host", "ours", headers=((b"authorization", b"set"),)), b"set"),
    ],
)
def test_one_credential_is_told(target, sent):
    assert target.told([]) == [(b"authorization", sent)]
    assert target.told([(b"authorization", b"mine")]) == [(b"authorization", b"set" if sent == b"set" else b"mine")]


@pytest.mark.parametrize(
    ("base", "query", "expected"),
    [
        ("http://host/v1?api-version=1", b"", b"/v1/models?api-version=1"),
        ("http://host?api-version=1", b"a=2", b"/v1/models?api-version=1&a=2"),
        ("http://host/v1", b"a=2", b"/v1/models?a=2"),
    ],
)
def test_the_base_s_own_query_goes_first(base, query, expected):
    assert Target(base).path("/v1/models", query) == expected


def test_a_key_that_replaces_the_client_s_replaces_it_in_the_query_too():
    asked = b"key=mine&a=1"
    assert Target("http://host", "ours", replaces=True).path("/v1/models", asked) == b"/v1/models?a=1"
    assert Target("http://host", "ours").path("/v1/models", asked) == b"/v1/models?key=mine&a=1"


@pytest.mark.parametrize("path", ["*@evil.example:80/", "evil", "", "@evil.example/"])
def test_what_is_no_path_is_not_asked_for(path):
    with pytest.raises(BadRequestError):
        Target("http://host").path(path, b"")


def test_a_whole_server_may_be_asked_for_its_options():
    assert Target("http://host/v1").path("*", b"") == b"*"


@pytest.mark.parametrize("url", ["http://ann:secret@host:9/v1?key=secret", "http://host:9/secret"])
def test_what_is_shown_of_a_url_holds_no_secret(url):
    assert origin_of(url) == "http://host:9"


def test_the_path_is_as_the_client_wrote_it():
    assert raw_path({"raw_path": b"/a%2Fb", "path": "/a/b"}) == "/a%2Fb"
    assert raw_path({"path": "/a/é"}) == "/a/%C3%A9"
    assert raw_path({"raw_path": b"/a\xe9#b c", "path": "/"}) == "/a%E9%23b%20c"


def test_end_to_end_keeps_the_order_and_every_copy():
    headers = [(b"Via", b"a"), (b"Keep-Alive", b"5"), (b"via", b"b"), (b"Connection", b"close, X"), (b"x", b"1")]
    assert end_to_end(headers) == [(b"via", b"a"), (b"via", b"b")]
