"""Counts are tiktoken's, counted once a message, and no text makes the counting hang."""

import gzip
import random
import time
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiktoken_ext import openai_public

from proxy.tokens import (
    IMAGE_TOKENS,
    INLINE_CHARS_MAX,
    MESSAGE_TOKENS,
    VOCABULARIES,
    TokenCounter,
    VocabularyError,
    encoding_from,
    load_encoding,
)
from tests.support.messages import chat, said

ENCODINGS = {"gpt-4": "cl100k_base", "gpt-3*": "cl100k_base", "*": "o200k_base"}

# from OpenAI's cookbook, "How to count tokens with tiktoken"
PUBLISHED = {
    "cl100k_base": {
        "tiktoken is great!": [83, 1609, 5963, 374, 2294, 0],
        "antidisestablishmentarianism": [519, 85342, 34500, 479, 8997, 2191],
        "2 + 2 = 4": [17, 489, 220, 17, 284, 220, 19],
        "お誕生日おめでとう": [33334, 45918, 243, 21990, 9080, 33334, 62004, 16556, 78699],
    },
    "o200k_base": {
        "tiktoken is great!": [83, 8251, 2488, 382, 2212, 0],
        "antidisestablishmentarianism": [493, 129901, 376, 160388, 21203, 2367],
        "2 + 2 = 4": [17, 659, 220, 17, 314, 220, 19],
        "お誕生日おめでとう": [8930, 9697, 243, 128225, 8930, 17693, 4344, 48669],
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_tokens_are_those_that_are_published(name):
    for text, tokens in PUBLISHED[name].items():
        assert load_encoding(name).encode_ordinary(text) == tokens


@pytest.mark.parametrize("name", VOCABULARIES)
def test_pattern_hash_and_special_tokens_are_those_of_tiktoken(name):
    """Read from the constants of its constructor, which itself would download the ranks."""
    constants = _flat(getattr(openai_public, name).__code__.co_consts)
    vocabulary = VOCABULARIES[name]
    assert vocabulary.sha256 in constants
    patterns = [text for text in constants if isinstance(text, str) and text.count("\\p{L}")]
    assert patterns
    assert all(pattern in vocabulary.pattern for pattern in patterns)
    assert set(vocabulary.special_tokens.values()) <= set(constants)


def _flat(constants):
    return [value for item in constants for value in (_flat(item) if isinstance(item, tuple) else [item])]


def test_an_altered_cut_or_foreign_vocabulary_is_refused():
    packed = files("proxy").joinpath("assets", "cl100k_base.tiktoken.gz").read_bytes()
    assert encoding_from("cl100k_base", packed).n_vocab == 100_277
    ranks = gzip.decompress(packed)
    for altered in (
        gzip.compress(ranks[:-1] + b"7", 1),
        packed[:-100],
        packed[:1000],
        b"",
        b"no gzip",
        packed[:2000] + packed[2001:],
    ):
        with pytest.raises(VocabularyError, match="install isocost again"):
            encoding_from("cl100k_base", altered)
    with pytest.raises(VocabularyError, match="cl100k_base, o200k_base"):
        load_encoding("p50k_base")


def test_the_first_pattern_that_fits_names_the_encoding():
    counter = TokenCounter(ENCODINGS)
    japanese = "お誕生日おめでとう"
    assert [counter.text(japanese, model) for model in ("gpt-4", "gpt-3.5-turbo", "gpt-4o", "", "llama")] == [
        9,
        9,
        8,
        8,
        8,
    ]
    assert TokenCounter({}).text(japanese, "any") == 8


async def test_a_message_costs_its_text_its_frame_and_its_images():
    counter = TokenCounter(ENCODINGS)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    messages = [
        said("user", "2 + 2 = 4"),
        said("user", ""),
        said("user", [{"type": "text", "text": "2 + 2 = 4"}, image, image]),
        said("assistant", None, tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]),
    ]
    plain, empty, pictured, call = await counter.messages(messages, "gpt-4")
    assert (plain, empty) == (7 + MESSAGE_TOKENS, MESSAGE_TOKENS)
    named = counter.text("2 + 2 = 4\n[image_url]\n[image_url]", "gpt-4")
    assert pictured == named + 2 * IMAGE_TOKENS + MESSAGE_TOKENS
    assert call == counter.text("f({})", "gpt-4") + MESSAGE_TOKENS
    assert [counter.message(message, "gpt-4") for message in messages] == [plain, empty, pictured, call]


async def test_tools_cost_their_json_without_a_frame():
    counter = TokenCounter(ENCODINGS)
    assert await counter.payload(b"2 + 2 = 4", "gpt-4") == 7
    assert await counter.payload(b"\xff", "gpt-4") >= 1


async def test_a_special_token_in_a_text_is_only_text():
    assert TokenCounter({}).text("<|endoftext|>") > 1


@given(st.text(max_size=200))
def test_any_text_is_counted_as_tiktoken_counts_it(text):
    assert TokenCounter({}).text(text) == len(load_encoding("o200k_base").encode(text, disallowed_special=()))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_long_texts_in_pieces_are_counted_within_a_token_a_cut(name):
    words = random.Random(7).choices("the rain in Spain, naïve! 漢字 2026 \n\n x_y".split(" "), k=30_000)
    text = " ".join(words)
    counted = TokenCounter({"*": name}).text(text)
    whole = len(load_encoding(name).encode_ordinary(text))
    assert abs(counted - whole) <= len(text) // 10_000


async def test_counting_again_touches_no_encoder():
    counter = TokenCounter({})
    messages = [*chat("a", "b", "c"), said("user", "word " * 40_000)]
    first = await counter.messages(messages, "m")
    tools = await counter.payload(b"[]", "m")
    loaded = load_encoding.cache_info().hits
    assert await counter.messages(messages, "m") == first
    assert await counter.payload(b"[]", "m") == tools
    assert counter.message(messages[0], "m") == first[0]
    assert load_encoding.cache_info().hits == loaded
    await counter.messages([*messages, said("user", "new")], "m")
    assert load_encoding.cache_info().hits == loaded + 1


async def test_the_same_words_are_one_entry_and_each_encoding_another():
    counter = TokenCounter(ENCODINGS)
    japanese = said("user", "お誕生日おめでとう")
    assert await counter.messages([japanese, japanese], "gpt-4") == [13, 13]
    assert await counter.messages([said("user", [{"type": "text", "text": "お誕生日おめでとう"}])], "gpt-4") == [13]
    assert await counter.messages([japanese], "gpt-4o") == [12]
    assert counter.message(japanese) == 12


@pytest.mark.parametrize("cached_max", [0, 1, 2, 3])
async def test_a_full_cache_counts_right_all_the_same(cached_max):
    counter = TokenCounter({}, cached_max=cached_max)
    texts = ["a", "b c", "d e f", "g h i j"]
    right = [MESSAGE_TOKENS + n for n in (1, 2, 3, 4)]
    messages = [said("user", text) for text in texts]
    for chosen in ([0, 1], [0, 2, 3], [3, 2, 1, 0], [1], [0, 0, 3]):
        assert await counter.messages([messages[place] for place in chosen], "m") == [right[place] for place in chosen]
        assert counter.message(messages[0], "m") == right[0]


async def test_a_full_cache_lets_go_what_was_longest_unused_and_counts_nothing_newer_again():
    counter = TokenCounter({}, cached_max=3)
    old, used, *others = chat("old", "used", "a", "b", "c", "d", "e", "f")
    await counter.messages([old, used], "m")
    loaded = load_encoding.cache_info().hits
    for new in others:
        await counter.messages([new], "m")
        await counter.messages([used], "m")
    assert load_encoding.cache_info().hits == loaded + len(others)
    await counter.messages([*others[-2:], used], "m")
    assert load_encoding.cache_info().hits == loaded + len(others)
    await counter.messages([old], "m")
    assert load_encoding.cache_info().hits == loaded + len(others) + 1


HARD = {
    "one letter": "a" * 200_000,
    "one random word": "".join(random.Random(1).choices("abcdefghijklmnop", k=200_000)),
    "spaces": " " * 200_000,
    "new lines": "\n" * 200_000,
    "prose": "The quick brown fox jumps over the lazy dog. " * 4_500,
    "emoji": "😀" * 100_000,
    "kanji": "漢字" * 50_000,
    "digits": "1" * 200_000,
    "marks": "!" * 200_000,
    "combining": "e\N{COMBINING ACUTE ACCENT}" * 100_000,
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD.keys())
async def test_no_text_of_200_kb_makes_the_counting_hang(text):
    counter = TokenCounter({})
    counter.text("warm")
    began = time.perf_counter()
    assert (await counter.messages([said("user", text)], "m"))[0] > len(text.strip()) // 200
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("chars", [INLINE_CHARS_MAX - 100, INLINE_CHARS_MAX + 100])
async def test_inline_and_in_a_thread_are_the_same(chars):
    text = "ab " * (chars // 3)
    assert (await TokenCounter({}).messages([said("user", text)], "m"))[0] == TokenCounter({}).message(
        said("user", text)
    )
