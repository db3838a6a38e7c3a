"""The simulated cache, against prompts written out token by token."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.prices import Price
from memory_core.transcript import chain
from proxy.prefix_cache import ENTRIES_MAX, NO_RECALL, Encoded, Outline, Part, PrefixCache, cacheable
from proxy.tokens import REPLY_TOKENS

PRICE = Price("row", "*", 1.0, "input", 0.1, 1.25, 1, 1, 100.0)
PRICES = st.builds(
    replace,
    st.just(PRICE),
    read=st.floats(0, 1),
    write=st.floats(1, 2),
    cacheable_min=st.integers(1, 60),
    step=st.integers(1, 16),
    ttl_s=st.integers(1, 20).map(float),
    caches_answers=st.booleans(),
)


def outline(said, *, head=(), first=0, asked=0, length=None, recall=NO_RECALL):
    """Of turns that are named by letters; how long one is follows from its name."""
    digests = chain(b"root", [name.encode() for name in said])
    begins = [0]
    for name in said:
        begins.append(begins[-1] + 1 + ord(name) % 5)
    return Outline(head, digests, begins, first, asked, len(said) if length is None else length, recall)


def part(text):
    """A letter a token."""
    return Part(text.encode(), len(text), text)


def written_out(prompt):
    """Its tokens but for the opening of the reply; each knows what it is of, so that none is like another by chance."""
    for place, each in enumerate(prompt.head):
        yield from (("head", place, letter, n) for n, letter in enumerate(each.text))
    for place in range(prompt.first, prompt.length):
        size = prompt.begins[place + 1] - prompt.begins[place]
        yield from (("turn", prompt.digests[place], n) for n in range(size))
        if place == prompt.asked:
            yield from (("recall", place, prompt.recall.digest, n) for n in range(prompt.recall.tokens))


def shared_by_hand(prompt, earlier, *, with_answer):
    ours, theirs = list(written_out(prompt)), list(written_out(earlier))
    if with_answer and prompt.length > earlier.length:  # what was answered, if it is the answer that we know
        place = earlier.length
        size = prompt.begins[place + 1] - prompt.begins[place]
        theirs += [("turn", prompt.digests[place], n) for n in range(size)]
    return next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))


@dataclass(frozen=True)
class Wrote:
    """What an outline is made of, to be changed."""

    said: str
    head: tuple[str, ...] = ()
    first: int = 0
    asked: int = 0
    recall: str = ""
    cut_off: int = 0
    outline: Outline = field(init=False)

    def __post_init__(self):
        recall = Part(self.recall.encode(), len(self.recall)) if self.recall else NO_RECALL
        length = max(self.asked + 1, len(self.said) - self.cut_off)
        heads = tuple(part(text) for text in self.head)
        first, asked = min(self.first, self.asked), self.asked
        made = outline(self.said, head=heads, first=first, asked=asked, length=length, recall=recall)
        object.__setattr__(self, "outline", made)


@st.composite
def wrote(draw, earlier=None):
    """Anything, or what follows from an earlier one: grown, forked, cut anew, recalled anew, another head."""
    if earlier is None:
        said = draw(st.text("abc", min_size=1, max_size=8))
        earlier = Wrote(said, asked=draw(st.integers(0, len(said) - 1)))
    change = draw(st.sets(st.sampled_from(["grow", "fork", "cut", "recall", "head", "ask", "shorten"])))
    said = earlier.said
    if "fork" in change:
        said = said[: draw(st.integers(0, len(said)))] + draw(st.text("abc", min_size=1, max_size=3))
    if "grow" in change:
        said += draw(st.text("abc", max_size=4))
    asked = draw(st.integers(0, len(said) - 1)) if "ask" in change else min(earlier.asked, len(said) - 1)
    return Wrote(
        said,
        tuple(draw(st.lists(st.text("xy", min_size=1, max_size=4), max_size=3))) if "head" in change else earlier.head,
        draw(st.integers(0, 2)) if "cut" in change else earlier.first,
        asked,
        draw(st.sampled_from(["", "r", "rr", "ss"])) if "recall" in change else earlier.recall,
        draw(st.integers(0, 2)) if "shorten" in change else 0,
    )


CHAINS = st.lists(st.none(), min_size=1, max_size=ENTRIES_MAX).flatmap(
    lambda steps: st.composite(lambda draw: _derived(draw, len(steps)))()
)


def _derived(draw, count):
    made = [draw(wrote())]
    for _ in range(count - 1):
        made.append(draw(wrote(draw(st.sampled_from(made)))))
    return [each.outline for each in made]


@given(CHAINS, st.booleans())
def test_outlines_share_what_their_tokens_share(prompts, with_answer):
    for prompt in prompts:
        assert prompt.tokens == len(list(written_out(prompt))) + REPLY_TOKENS
        for earlier in prompts:
            expected = shared_by_hand(prompt, earlier, with_answer=with_answer)
            assert prompt.shared(earlier, with_answer=with_answer) == expected


@given(
    CHAINS,
    PRICES,
    st.lists(st.integers(0, 15), min_size=ENTRIES_MAX, max_size=ENTRIES_MAX),
    st.sampled_from([1, 0.5, 1.3]),
)
def test_what_is_sent_is_priced_by_all_that_was_sent_within_the_time_to_live(prompts, price, waits, factor):
    cache, sent, at = PrefixCache(), [], 0.0
    for prompt, wait in zip(prompts, waits, strict=False):
        at += wait
        live = [earlier for earlier, then in sent if at - then <= price.ttl_s]
        each = [shared_by_hand(prompt, earlier, with_answer=price.caches_answers) for earlier in live]
        shared = max(each, default=0)
        # what this prompt goes on from is forgotten, its recall too: too little for a question that is asked again
        gone = [earlier for earlier, same in zip(live, each, strict=True) if same >= earlier.lasting]
        sent = [(earlier, then) for earlier, then in sent if not any(earlier is other for other in gone)]
        total = round(prompt.tokens * factor)
        cached = cacheable(price, min(round(shared * factor), total - 1))
        found = cache.send(prompt, price, at, factor)
        assert found.cached == cached
        assert found.written == max(0, cacheable(price, total) - cached)
        assert found.cached + found.written + found.fresh == total
        assert min(found[:3]) >= 0
        expected = price.read * found.cached + price.write * found.written + found.fresh
        assert found.price == pytest.approx(expected)
        sent.append((prompt, at))


@pytest.mark.parametrize(
    ("least", "step", "tokens", "cached"),
    [
        (1024, 128, 1023, 0),
        (1024, 128, 1024, 1024),
        (1024, 128, 1151, 1024),
        (1024, 128, 1152, 1152),
        (1, 1, 7, 7),
        (1, 16, 15, 0),
    ],
)
def test_minimum_and_step(least, step, tokens, cached):
    assert cacheable(replace(PRICE, cacheable_min=least, step=step), tokens) == cached


def test_the_last_token_is_always_computed():
    @dataclass(frozen=True)
    class Same:
        tokens: int = 64
        lasting: int = 64

        def shared(self, _, *, with_answer):
            return self.tokens

    cache = PrefixCache()
    for step, cached in ((1, 63), (16, 48)):
        price = replace(PRICE, step=step)
        cache.send(Same(), price, 0)
        assert cache.send(Same(), price, 0) == (cached, 64 - cached, 0, 0.1 * cached + 1.25 * (64 - cached))


def test_nothing_is_cached_where_that_would_not_be_cheaper():
    assert cacheable(replace(PRICE, read=1.0, write=1.0), 5000) == 0


def test_a_prompt_lives_on_as_it_is_sent_again():
    cache, prompt = PrefixCache(), outline("abcabc")
    assert [cache.send(prompt, PRICE, at).cached > 0 for at in (0, 100, 200, 300.5)] == [False, True, True, False]


def test_whoever_is_continued_leaves_room_for_other_branches():
    """Seven branches of an agent wait while the eighth goes through forty rounds."""
    cache, trunk = PrefixCache(), "abcabc" * 5
    branches = [outline(f"{trunk}{name}", asked=30) for name in "defghij"]
    for branch in branches:
        cache.send(branch, PRICE, 0)
    for rounds in range(40):
        cache.send(outline(f"{trunk}k" + "ab" * rounds, asked=30), PRICE, 1)
    for branch in branches:
        assert cache.send(branch, PRICE, 2).cached == branch.tokens - REPLY_TOKENS


def test_only_so_many_prompts_are_remembered():
    cache = PrefixCache()
    prompts = [outline(f"{name}bcabc") for name in "defghijklm"]
    for prompt in prompts:
        cache.send(prompt, PRICE, 0)
    assert cache.send(prompts[-ENTRIES_MAX], PRICE, 1).cached
    assert not cache.send(prompts[0], PRICE, 1).cached


def test_where_only_ends_are_matched_a_prompt_is_read_back_whole_or_not_at_all():
    at_marks = replace(PRICE, at_marks=True)
    grown, forked = outline("abcabc"), outline("abcax")
    for price, reads in ((PRICE, True), (at_marks, False)):
        cache = PrefixCache()
        cache.send(outline("abca"), price, 0)
        assert cache.send(grown, price, 1).cached == outline("abca").tokens - REPLY_TOKENS
        fork = PrefixCache()
        fork.send(grown, price, 0)
        assert (fork.send(forked, price, 1).cached > 0) == reads
        recalled = PrefixCache()
        recalled.send(outline("abca", asked=2, recall=part("r")), price, 0)
        assert (recalled.send(grown, price, 1).cached > 0) == reads


# --- beside real token ids

ROLES = ("user", "assistant")
OPENING, END, NEWLINE = 1, 2, 3


def ids_of(place, text):
    """A message as chat templates write it: <open> role <newline> text <end>."""
    letters = [100 + ord(letter) for letter in text]
    return [OPENING, 10 + place % 2, NEWLINE, *letters, END]


def encoded(texts, answer=""):
    ids = [token for place, text in enumerate(texts) for token in ids_of(place, text)]
    reply = ids_of(len(texts), answer)[REPLY_TOKENS:] if answer else []
    return Encoded(np.array([*ids, OPENING, 10 + len(texts) % 2, NEWLINE], np.int32), np.array(reply, np.int32))


def outlined(texts):
    begins = [0]
    for text in texts:
        begins.append(begins[-1] + len(text) + 4)
    return Outline((), chain(b"root", [text.encode() for text in texts]), begins, 0, len(texts) - 1, len(texts))


@given(st.data(), st.booleans())
def test_outlines_agree_with_token_ids_but_for_the_opening_of_a_message(data, with_answer):
    """Of texts that differ in their first letter or not at all."""
    words = st.sampled_from(["alpha", "bravo", "charlie", "delta", "echo"])
    before = data.draw(st.lists(words, min_size=1, max_size=9).filter(lambda texts: len(texts) % 2))
    answer = data.draw(words)
    after = before[: data.draw(st.integers(0, len(before)))] + data.draw(st.lists(words, min_size=1, max_size=5))
    if len(after) % 2 == 0:
        after.append("foxtrot")
    if after[: len(before)] == before:
        after[len(before) : len(before) + 1] = [answer] * (len(after) > len(before))
    by_ids = encoded(after).shared(encoded(before, answer), with_answer=with_answer)
    by_outline = outlined(after).shared(outlined(before), with_answer=with_answer)
    assert 0 <= by_ids - by_outline <= REPLY_TOKENS
    assert encoded(after).tokens == outlined(after).tokens


def test_ids_are_compared_to_the_first_that_differs():
    one, other = Encoded(np.array([1, 2, 3, 4], np.int32)), Encoded(np.array([1, 2, 9, 4], np.int32))
    empty = Encoded(np.zeros(0, np.int32))
    assert (one.shared(other, with_answer=False), one.shared(one, with_answer=True)) == (2, 4)
    assert (one.shared(empty, with_answer=True), empty.shared(one, with_answer=True)) == (0, 0)
