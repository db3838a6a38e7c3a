"""What is taken from an earlier request is what reading it again would have given."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import BadRequestError
from proxy.histories import UNKNOWN, Histories
from proxy.identity import ANONYMOUS, Identity
from proxy.lineage import trace
from proxy.wire import items_of, parse

MIB = 2**20
TENANTS = (b"a" * 16, b"b" * 16)


def message(number: int, role: str = "user") -> dict[str, str]:
    return {"role": role, "content": f"{number}: " + "what was said about it, and by whom? " * (number % 7)}


TALK = [message(n, ("system", "user", "assistant")[0 if n % 40 == 0 else 1 + n % 2]) for n in range(400)]


def written(talk, separators=(",", ":"), indent=None) -> bytes:
    return json.dumps(talk, separators=separators, indent=indent).encode()


def members(raw: bytes) -> list[bytes]:
    return items_of(raw, "messages")


def test_only_what_is_new_is_read():
    histories, seen = Histories(bytes_max=MIB), []

    def split(raw: bytes) -> list[bytes]:
        seen.append(len(raw))
        return members(raw)

    for until in (200, 202, 204):
        raw = written(TALK[:until])
        history = histories.read(raw, split)
        assert history.messages == UNKNOWN.read(raw, members).messages
    assert seen[0] > 10_000
    assert max(seen[1:]) < 1_000
    assert history.same == 202


def test_the_same_request_again_is_not_read_at_all():
    histories = Histories(bytes_max=MIB)
    raw = written(TALK)
    first = histories.read(raw, members)
    again = histories.read(raw, lambda _: pytest.fail("read"))
    assert (again.messages, again.same) == (first.messages, 400)


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
        history = histories.read(raw, members)
        plain = UNKNOWN.read(raw, members)
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
    histories.read(first, members)
    longer = [*TALK[:59], {**TALK[59], "content": TALK[59]["content"] + " and more"}]
    raw = written(longer)
    assert histories.read(raw, members).messages == UNKNOWN.read(raw, members).messages


def test_an_error_names_its_place_in_the_whole_list():
    histories = Histories(bytes_max=MIB)
    histories.read(written(TALK[:200]), members)
    with pytest.raises(BadRequestError, match=r"messages\[200\]"):
        histories.read(written([*TALK[:200], {"content": "no role"}]), members)


def test_what_is_kept_is_bounded_and_the_newest_stays():
    histories = Histories(bytes_max=100_000)
    order = random.Random(5)
    for number in range(60):
        talk = [message(number), *order.sample(TALK, 100)]
        raw = written(talk)
        histories.read(raw, members)
        assert histories.read(raw, lambda _: pytest.fail("read")).same == 101
        assert histories.kept_bytes <= 100_000
    big = written(TALK * 20)
    assert histories.read(big, members).messages == UNKNOWN.read(big, members).messages
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
        histories.read(written(talk), members)
    for talk in talks:
        raw = written([*talk, message(3)])
        history = histories.read(raw, members)
        assert history.messages == UNKNOWN.read(raw, members).messages
        assert history.same == 62
