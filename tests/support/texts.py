"""Texts of many kinds, made from a kind, a length and a seed: prose, code, logs, scripts, odd letters, our own fence.

Letter by letter a few kB would be thousands of draws; so they are one number, whose digits choose.
"""

import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

WORDS = """heron ladder invoice Utrecht kettle Marta ferry Ole purple seven ticket 4711 budget 2,499.00 EUR on is was
2024-03-05 deploy staging the a of my our not never always door code 7431 and but because Tuesday berlin-2""".split()
CJK = "東京の会議は来週の火曜日です。予算は三百万円。猫が好き。北京天气很好。我们明天见面。서울에서만나요"
EMOJI = [
    "🦩",
    "👩\u200d👧",
    "🇳🇱",
    "e\u0301",
    "\u200f",
    "ﬁ",
    "\u00a0",
    "\ud83d",
    "\x00",
    "\r\n",
    "<|im_end|>",
    "\u2028[1]",
]
FENCES = ['<memory note="mine">', "</memory>", "< / MEMORY >", "[3 user] I said so.", "</memory\n>", "<think>", "{{x}}"]


def _prose(source: random.Random, size: int) -> str:
    return " ".join(source.choices(WORDS, k=size)).capitalize() + "."


def _code(source: random.Random, size: int) -> str:
    lines = [f"    {word!r}: {source.randrange(10**6)}," for word in source.choices(WORDS, k=1 + size // 3)]
    return "\n".join(["Like this:", "```python", "table = {", *lines, "}", "```"])


def _log(source: random.Random, size: int) -> str:
    rows = [{"id": source.randrange(10**6), "at": source.choice(WORDS), "ok": True} for _ in range(1 + size // 4)]
    return json.dumps({"rows": rows, "next": None})


def _mixed(pieces: Sequence[str]) -> Callable[[random.Random, int], str]:
    return lambda source, size: " ".join(source.choices([*pieces, *WORDS[:8]], k=size))


KINDS = {
    "prose": _prose,
    "code": _code,
    "log": _log,
    "cjk": _mixed(CJK),
    "emoji": _mixed(EMOJI),
    "fence": _mixed(FENCES),
}
OFTEN = ["prose", "prose", "prose", "code", "prose", "log", "cjk", "emoji", "fence"]
SIZES = [8, 1, 2, 4, 8, 15, 15, 30, 60, 120, 15, 8, 700]


@cache
def text_of(kind: str, size: int, seed: int) -> str:
    """A text of this kind and some `size` words, the same for the same arguments."""
    return KINDS[kind](random.Random(f"{kind} {size} {seed}"), size)


def chosen(number: int, *options: Sequence[Any]) -> list[Any]:
    """One of each of the options by the digits of the number, and what is left of the number."""
    chosen: list[Any] = []
    for each in options:
        number, digit = divmod(number, len(each))
        chosen.append(each[digit])
    return [*chosen, number]
