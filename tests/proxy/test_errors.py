"""Our own errors have OpenAI's shape, so that its clients raise what they raise elsewhere."""

import json

import pytest

from proxy.errors import BadRequestError, BodyTooLargeError, ProxyError, UpstreamError, UpstreamTimeoutError


@pytest.mark.parametrize(
    ("error", "status", "type_", "code"),
    [
        (BadRequestError, 400, "invalid_request_error", None),
        (BodyTooLargeError, 413, "invalid_request_error", "request_too_large"),
        (UpstreamError, 502, "upstream_error", "upstream_unreachable"),
        (UpstreamTimeoutError, 504, "upstream_error", "upstream_timeout"),
    ],
)
def test_each_has_its_status_and_type(error, status, type_, code):
    raised = error("A sentence.", param="messages[3]")
    assert raised.status == status
    assert str(raised) == "A sentence."
    assert json.loads(raised.body()) == {
        "error": {"message": "A sentence.", "type": type_, "param": "messages[3]", "code": code}
    }


def test_the_parameter_may_be_missing():
    assert json.loads(BadRequestError('"quoted"\n').body())["error"] == {
        "message": '"quoted"\n',
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_the_drawn_tree_is_the_real_one():
    from proxy import errors

    drawn = {line.split()[1]: int(line.split()[2]) for line in (errors.__doc__ or "").splitlines() if "──" in line}

    def below(kind):
        return {kind, *(deeper for sub in kind.__subclasses__() for deeper in below(sub))}

    assert {kind.__name__: kind.status for kind in below(ProxyError) - {ProxyError}} == drawn
