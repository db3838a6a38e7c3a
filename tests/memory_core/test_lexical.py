import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.lexical import STOP_WORDS, query_terms, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She walked home, walking slowly.", ["she", "walk", "home", "walk", "slowli"]),
        ("don't e-mail 3.14 foo_bar", ["don", "t", "e", "mail", "3", "14", "foo_bar"]),
        ("Die Straßen, Müllers Häuser", ["die", "strassen", "müllers", "häuser"]),
        ("Где живут мои кошки?", ["где", "живут", "мои", "кошки"]),
        ("東京で猫", ["東京", "京で", "で猫"]),
        ("猫", ["猫"]),
        ("Python3を使う", ["python3", "を使", "使う"]),
        ("กินข้าว", ["กิ", "ิน", "นข", "ข้", "้า", "าว"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("🎉 👩‍👩‍👧 …!", []),
        ("a🎉b", ["a", "b"]),
        ("", []),
    ],
    ids=[
        "English",
        "tokens",
        "German",
        "Russian",
        "Japanese",
        "one Han",
        "mixed",
        "Thai",
        "Hindi",
        "emoji",
        "cut",
        "empty",
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CAFÉ", "cafe\u0301"),
        ("Straße", "STRASSE"),
        ("ﬁnance", "finance"),
        ("Ａｐｐｌｅ", "apple"),
        ("ｶﾞ", "ガ"),
        ("dogs", "dog"),
        ("МОСКВА", "москва"),
    ],
)
def test_spellings_of_one_word_are_one_term(one: str, other: str) -> None:
    assert terms(one) == terms(other)


@pytest.mark.parametrize(
    ("sentence", "word"),
    [("昨日は東京で猫を見た", "東京"), ("ฉันอยู่ที่กรุงเทพฯ", "กรุงเทพ"), ("今日はカタカナを書く", "カタカナ")],
    ids=["Japanese", "Thai", "kana"],
)
def test_a_word_is_found_inside_a_script_without_spaces(sentence: str, word: str) -> None:
    assert set(terms(word)) <= set(terms(sentence))


@pytest.mark.parametrize("word", ["is", "bed", "red", "sing", "ring", "v2s", "user_ids"])
def test_short_words_and_identifiers_are_left_alone(word: str) -> None:
    assert terms(word) == [word]


def test_query_terms_leave_stop_words_out_and_name_each_term_once() -> None:
    assert query_terms("Where did the dogs meet my other dog?") == ("dog", "meet", "other")


def test_a_query_of_stop_words_alone_keeps_them() -> None:
    assert query_terms("Who are you?") == ("who", "are", "you")


def test_a_query_of_punctuation_has_no_terms() -> None:
    assert query_terms("?! 🎉") == ()


@given(st.text())
def test_any_text_has_terms_and_they_do_not_depend_on_its_case_or_surroundings(text: str) -> None:
    found = terms(text)
    assert all(found)
    assert terms(f"first {text} last") == ["first", *found, "last"]


@given(st.text() | st.lists(st.sampled_from([*sorted(STOP_WORDS), "dog", "猫が"]), max_size=9).map(" ".join))
def test_query_terms_are_terms_of_the_text(text: str) -> None:
    wanted = query_terms(text)
    assert set(wanted) <= set(terms(text))
    assert len(set(wanted)) == len(wanted)
    assert bool(wanted) == bool(terms(text))


def test_a_lone_surrogate_breaks_nothing() -> None:
    assert terms("a \ud800 b") == ["a", "b"]
