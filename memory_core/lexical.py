"""Text to terms, for the lexical half of recall: Unicode words, English stems, bigrams for Han and kin."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import snowballstemmer

_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u3099\u309a"
"""Vowel signs and accents that \\w leaves out: without them Hindi and Thai words fall into single consonants."""

_WORD = re.compile(rf"[\w{_MARKS}]+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
"""Thai, kana and Han: scripts written without spaces, where a \\w run is a sentence and not a word."""

_CACHED_CHARS_MAX = 32
"""Longer words are rare and may be anything (base64): they must not fill the cache."""

_QUERIES_KEPT = 4
"""A query is read several times in a row, and what the newest turns lend it in between; more may be long."""

STOP_WORDS = frozenset(
    "a an the of to in on at for and or is are was were be been do does did what when where who whom how why "
    "which that this it its i you he she they we my your his her their our me him them with as by from has have "
    "had will would could should can may s t so no not any there".split()
)
"""Words of an English question that say nothing about its subject. Left in the index, left out of queries."""


def words(text: str) -> list[str]:
    """The words of a text in order, folded in case and compatibility form."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def terms(text: str) -> list[str]:
    """The terms of a text in order: its words, stemmed or split."""
    return _split(words(text))


@lru_cache(maxsize=_QUERIES_KEPT)
def query_words(text: str) -> tuple[str, ...]:
    """`words` of a query, for all that reads it."""
    return tuple(words(text))


@lru_cache(maxsize=_QUERIES_KEPT)
def query_terms(text: str) -> tuple[str, ...]:
    """The distinct terms of a query without stop words; all its terms if nothing else is left."""
    folded = query_words(text)
    content = [word for word in folded if word not in STOP_WORDS]
    return tuple(dict.fromkeys(_split(content or folded)))


def _split(folded: Iterable[str]) -> list[str]:
    return [
        term for word in folded for term in (_split_short(word) if len(word) <= _CACHED_CHARS_MAX else _parts(word))
    ]


@lru_cache(maxsize=65_536)
def _split_short(word: str) -> tuple[str, ...]:
    return _parts(word)


def _parts(word: str) -> tuple[str, ...]:
    if word.isascii():
        return (_stem(word),)
    found = []
    rest = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > rest:
            found.append(word[rest : run.start()])
        found.extend(_bigrams(run.group()))
        rest = run.end()
    if rest < len(word):
        found.append(word[rest:])
    return tuple(found)


def _bigrams(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]


def _stem(word: str) -> str:
    """Porter's second stemmer, "snowball": +.015 of LoCoMo's evidence over stripping one suffix (EXPERIMENTS.md).

    A stemmer for each word, because one holds the word it works on and two threads may ask at once.
    """
    stem: str = snowballstemmer.stemmer("english").stemWord(word) if word.isalpha() else word
    return stem
