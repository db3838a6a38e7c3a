"""What is taken from an earlier request is what reading it again would have given."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import responses
from proxy.errors import BadRequestError
from proxy.histories import UNKNOWN, Histories
from proxy.identity import ANONYMOUS, Identity
from proxy.lineage import trace
from proxy.wire import items_of, parse, split_fields, with_messages

MIB = 2**20
TENANTS = (b"a" * 16, b"b" * 16)


def message(number: int, role: str = "user") -> dict[str, str]:
    return {"role": role, "content": f"{number}: " + "what was said about it, and by whom? " * (number % 7)}


TALK = [message(n, ("system", "user", "assistant")[0 if n % 40 == 0 else 1 + n % 2]) for n in range(400)]


def written(talk, separators=(",", ":"), indent=None) -> bytes:
    return json.dumps(talk, separators=separators, indent=indent).encode()


def body_of(messages: bytes, before: bytes = b'"model": "m"', after: bytes = b'"stream": true') -> bytes:
    return b'{%b, "messages": %b, %b}' % (before, messages, after)


def read(histories: Histories, messages: bytes):
    return parse(body_of(messages), histories).history


def test_a_body_for_two_apis_is_read_for_the_one_that_is_asked():
    histories = Histories(bytes_max=MIB)
    body = body_of(written(TALK), after=b'"input": [{"role": "user", "content": "hi"}]')
    assert len(parse(body, histories).messages) == len(TALK)
    assert [message.text for message in responses.parse(body, histories).messages] == ["hi"]
    assert len(parse(body, histories).messages) == len(TALK)


def test_only_what_is_new_is_read():
    histories, seen = Histories(bytes_max=MIB), []

    def split(body: bytes) -> dict[str, bytes]:
        seen.append(len(body))
        return split_fields(body)

    for until in (200, 202, 204, 204):
        body = body_of(written(TALK[:until]))
        opened = histories.open(body, "messages", split)
        history = histories.read(opened, lambda raw: items_of(raw, "messages"))
        assert history.messages == parse(body).messages
        assert {**opened.fields, "messages": b""} == {**split_fields(body), "messages": b""}
    assert seen[0] > 10_000
    assert max(seen[1:]) < 1_000
    assert history.same == 204


def test_the_same_request_again_is_not_read_at_all():
    histories = Histories(bytes_max=MIB)
    raw = written(TALK)
    first = read(histories, raw)
    again = read(histories, raw)
    assert (again.messages, again.same) == (first.messages, 400)
    assert all(one is other for one, other in zip(first.messages, again.messages, strict=True))


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["grow", "cut", "edit", "drop oldest", "other"]),
        st.integers(0, 400),
        st.sampled_from([((",", ":"), None), ((", ", ": "), None), ((",", ": "), 1)]),
        st.sampled_from(TENANTS),
        st.sampled_from([ANONYMOUS, Identity("k")]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60)
@given(CHANGES)
def test_a_session_reads_and_traces_as_if_each_request_were_the_first(changes):
    histories = Histories(bytes_max=MIB)
    talk = TALK[:100]
    for what, number, (separators, indent), tenant, identity in changes:
        talk = changed(talk, what, number)
        raw = written(talk, separators, indent)
        history = read(histories, raw)
        plain = read(UNKNOWN, raw)
        assert history.messages == plain.messages
        traced = trace(history.messages, tenant, identity, history.before, history.same)
        assert traced == trace(plain.messages, tenant, identity)
        history.traced = traced


def changed(talk, what, number):
    place = number % (len(talk) + 1)
    if what == "grow":
        return talk + TALK[number : number + 5]
    if what == "cut":
        return talk[: max(1, place)]
    if what == "edit":
        return [*talk[:place], message(1_000 + number), *talk[place + 1 :]]
    if what == "drop oldest":
        return talk[min(place, len(talk) - 1) :]
    return TALK[number // 2 : number // 2 + 80] or talk


def test_what_begins_alike_and_goes_on_in_mid_message():
    histories = Histories(bytes_max=MIB)
    first = written(TALK[:60])
    read(histories, first)
    longer = [*TALK[:59], {**TALK[59], "content": TALK[59]["content"] + " and more"}]
    raw = written(longer)
    assert read(histories, raw).messages == read(UNKNOWN, raw).messages


def test_an_error_names_its_place_in_the_whole_list():
    histories = Histories(bytes_max=MIB)
    read(histories, written(TALK[:200]))
    with pytest.raises(BadRequestError, match=r"messages\[200\]"):
        read(histories, written([*TALK[:200], {"content": "no role"}]))


def test_what_is_kept_is_bounded_and_the_newest_stays():
    histories = Histories(bytes_max=100_000)
    order = random.Random(5)
    for number in range(60):
        talk = [message(number), *order.sample(TALK, 100)]
        raw = written(talk)
        read(histories, raw)
        assert read(histories, raw).same == 101
        assert histories.kept_bytes <= 100_000
    big = written(TALK * 20)
    assert read(histories, big).messages == read(UNKNOWN, big).messages
    assert 0 < histories.kept_bytes <= 100_000


def test_a_body_with_odd_json_is_read_as_ever():
    histories = Histories(bytes_max=MIB)
    for tail in ('"a\\ud800b"', '"plain"', "NaN"):
        body = b'{"messages": %b, {"role": "user", "content": %b}]}' % (written(TALK[:90])[:-1], tail.encode())
        assert parse(body, histories).messages == parse(body).messages


def test_conversations_side_by_side():
    histories = Histories(bytes_max=MIB)
    talks = [[message(0, "system"), message(number), *TALK[number : number + 60]] for number in range(8)]
    for talk in talks:
        read(histories, written(talk))
    for talk in talks:
        raw = written([*talk, message(3)])
        history = read(histories, raw)
        assert history.messages == read(UNKNOWN, raw).messages
        assert history.same == 62


LONG = written(TALK[:90])
ANOTHER = b'{"role":"user","content":"another one"}'


@pytest.mark.parametrize(
    "body",
    [
        body_of(LONG, after=b'"messages": [' + ANOTHER + b"]"),
        body_of(LONG[:-1] + b"," + ANOTHER + b"]", after=b'"messages": [' + ANOTHER + b"]"),
        body_of(LONG[:-1] + b"," + ANOTHER + b"]", after=b'"\\u006dessages": [' + ANOTHER + b"]"),
        body_of(LONG[:-1] + b"," + ANOTHER + b"]", after=b'"note": "caf\\u00e9 \\"messages\\""'),
        body_of(LONG[:-1] + b" ,\n " + ANOTHER + b" \n]", after=b'"tools": [{"messages": 1}]'),
        body_of(LONG[:-1] + b", null]"),
        body_of(LONG, before=b'"model": "other"'),
        body_of(LONG, before=b'"messages": [], "model": "m"'),
    ],
)
def test_a_body_that_goes_on_in_another_way_reads_as_if_it_were_the_first(body):
    histories = Histories(bytes_max=MIB)
    parse(body_of(LONG), histories)
    assert outcome(body, histories) == outcome(body, UNKNOWN)
    assert outcome(body, histories) == outcome(body, UNKNOWN)


@pytest.mark.parametrize(
    "tail",
    [b",]}", b", ]}", b"", b"]", b",", b"]}x", b"} ", b'], "messages": [{}]}', b",[1]]}", b', {"role": 7}]}', b"] , }"],
)
def test_what_is_broken_after_a_known_beginning_is_told_as_ever(tail):
    histories = Histories(bytes_max=MIB)
    parse(body_of(LONG), histories)
    broken = body_of(LONG)[: body_of(LONG).index(LONG) + len(LONG) - 1] + tail
    assert outcome(broken, histories) == outcome(broken, UNKNOWN)
    assert isinstance(outcome(broken, UNKNOWN), str)


def test_a_list_that_stands_twice_is_not_taken_for_the_other():
    histories = Histories(bytes_max=MIB)
    twice = b'{"copy": {"of": %b}, "messages": %b}'
    for copy, messages in ((LONG, LONG), (LONG[:-1] + b"," + ANOTHER + b"]", b"[" + ANOTHER + b"]")):
        body = twice % (copy, messages)
        assert outcome(body, histories) == outcome(body, UNKNOWN)


def outcome(body: bytes, histories: Histories):
    """All that a request says, or the error."""
    try:
        request = parse(body, histories)
    except BadRequestError as error:
        return f"{error.message} {error.param}"
    others = {name: value for name, value in request.fields.items() if name != "messages"}
    return request.messages, list(request.fields), others, request.model, with_messages(request, [b"{}"])
