"""A share of all conversations, the same ones on any replica."""

import pytest

from memory_core.transcript import digest_of
from proxy.sampling import Shares

IDS = [digest_of(b"conversation", n.to_bytes(4)).hex() for n in range(20_000)]


@pytest.mark.parametrize(
    ("shadow", "holdout"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.05), (0.3, 0.2), (0.5, 0.5), (1.0, 0.0)]
)
def test_shares_are_what_they_say_within_a_hundredth(shadow, holdout):
    found = [Shares(shadow, holdout).of(conversation) for conversation in IDS]
    assert found.count("shadow") / len(IDS) == pytest.approx(shadow, abs=0.01)
    assert found.count("holdout") / len(IDS) == pytest.approx(holdout, abs=0.01)
    assert found == [Shares(shadow, holdout).of(conversation) for conversation in IDS]


def test_all_is_all_and_nothing_is_nothing():
    edges = ["00000000" + "f" * 24, "ffffffff" + "0" * 24, *IDS]
    assert {Shares().of(conversation) for conversation in edges} == {""}
    assert {Shares(shadow=1).of(conversation) for conversation in edges} == {"shadow"}
    assert {Shares(holdout=1).of(conversation) for conversation in edges} == {"holdout"}
    assert {Shares(0.5, 0.5).of(conversation) for conversation in edges} == {"shadow", "holdout"}


def test_who_is_in_a_share_stays_in_it_as_the_share_grows():
    small, large = (
        {conversation for conversation in IDS if Shares(shadow=share).of(conversation)} for share in (0.1, 0.3)
    )
    assert small < large


def test_a_known_id_falls_where_it_always_did():
    assert Shares(0.25, 0.25).of("3fffffff" + "0" * 24) == "shadow"
    assert Shares(0.25, 0.25).of("40000000" + "0" * 24) == "holdout"
    assert Shares(0.25, 0.25).of("80000000" + "0" * 24) == ""
