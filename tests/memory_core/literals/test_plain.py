"""A cache to primitives and back; and that nothing else is taken for one."""

from typing import Any

import msgspec
import pytest

from memory_core.literals import LiteralCache, add, from_plain, to_plain


def sample() -> LiteralCache:
    cache = LiteralCache(16)
    turns = [
        "The budget is 1,100 USD and 5 %.",
        "Move the budget to 1,300 USD.",
        "Call +49 30 1234567 at 9:30. My cat is Ira.",
    ]
    for number, text in enumerate(turns, start=1):
        cache = add(cache, number, "user", text)
    return cache


def altered(place: int, value: Any, field: int | None = None) -> list[Any]:
    """A sound cache with one part of it, or one field of its first entry, replaced."""
    plain = msgspec.json.decode(msgspec.json.encode(to_plain(sample())))
    if field is None:
        plain[place] = value
    else:
        plain[place][0][field] = value
    return plain


def test_there_and_back_is_the_same() -> None:
    cache = sample()
    assert any(entry.superseded for entry in cache.entries)
    assert from_plain(to_plain(cache)) == cache
    assert from_plain(msgspec.msgpack.decode(msgspec.msgpack.encode(to_plain(cache)))) == cache
    assert from_plain(to_plain(LiteralCache())) == LiteralCache()
    assert add(from_plain(to_plain(cache)), 4, "user", "budget: 7 USD") == add(cache, 4, "user", "budget: 7 USD")


def test_a_sound_one_is_read() -> None:
    assert from_plain(altered(1, 17)).capacity == 17


@pytest.mark.parametrize("plain", [None, 1, "cache", [], (2, 16, (), ()), {"format": 1}])
def test_anything_else_is_refused(plain: Any) -> None:
    with pytest.raises(ValueError, match="not a literal cache"):
        from_plain(plain)


@pytest.mark.parametrize(
    ("place", "value", "field"),
    [
        (1, -1, None),
        (1, True, None),
        (1, 1, None),  # more entries than capacity
        (2, [1, 2], None),
        (2, [-1] * 25, None),
        (3, "rows", None),
        (3, [[]], None),
        (3, 99, 0),  # kind
        (3, "", 1),  # text
        (3, 5, 1),
        (3, "x" * 10_000, 1),
        (3, None, 2),  # value
        (3, "NaN", 3),  # amount
        (3, "five", 3),
        (3, 5, 3),
        (3, 5, 4),  # unit
        (3, "k" * 1_000, 5),  # key
        (3, 0, 7),  # turn
        (3, 99, 7),
        (3, 0, 10),  # mentions
        (3, 7, 12),  # was_turn
        (3, 1, 13),  # superseded
        (3, "high", 14),  # weight
        (3, float("inf"), 14),
    ],
)
def test_what_does_not_fit_is_refused(place: int, value: Any, field: int | None) -> None:
    plain = altered(place, value, field)
    with pytest.raises(ValueError, match="literal"):
        from_plain(plain)
