"""Questions that cannot be understood alone ("What are its symptoms?", "and the second one?"), and what they borrow.

A question that names its subject borrows nothing. One that points at something it does not name ("its", "there", "the
other one") or opens as a continuation ("what about …") borrows from the last turns in full; any other ("What are the
symptoms?") as much as it lies near to what they were about, since a new topic is asked with the same few words. What
it borrows is direction and terms, less from a turn further back or on another topic. English first, with the
commonest words of German, French and Spanish; in another language nearness alone tells.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from memory_core.cues import without_stamp
from memory_core.index import Floats, norm
from memory_core.lexical import STOP_WORDS, query_terms, query_words, words

CONTEXT_TURNS = 4
TURN_DECAY = 0.8
"""What a turn lends compared with the one after it."""

TURN_TERMS_MAX = 6
TURN_CHARS = 300
"""A turn says what it is about where it begins; a long answer must not drown the question."""

NEAR_COSINES = (0.1, 0.4)
"""From unrelated to the same topic, for all-MiniLM-L6-v2: on TREC CAsT elliptical questions lie at .22 to .41 of the
turns before them (quartiles), questions that open another topic at .05 to .16."""

SHORT_TERMS = 6
"""A question of n > 6 content terms borrows 6 / n: the longer it is, the more it says itself."""

CONTINUING_TERMS_MAX = 4
"""With more content terms than that, "And …" opens a question of its own."""

ANTECEDENT_TERMS = 5
"""After so many content terms a pronoun has its noun among them, most likely."""

STATE_PULL = 0.5
"""Where no turns are given, a question that points leans towards the state vector: a guess, and a weak one."""

_QUESTION_CHARS = 2_000

_CONTINUES = re.compile(
    r"\W*(?:and|or|but|so|also|ok|okay|what about|how about|what else|anything else|any other|any more|tell me more|"
    r"und|oder|aber|was ist mit|wie steht es mit|wie sieht es mit|et|mais|y|pero|qué tal)\b",
    re.IGNORECASE,
)

_POINTS = re.compile(
    r"\b(?=[itheswaodlcé])"  # the initials of what follows: spares most words the long list
    r"(?:its|it(?! (?:takes?|likely|possible|mean to|true that)\b)|itself|they|them|theirs?|he|him|his|she|hers?|"
    r"(?:this|these|those)(?! (?:day|week|month|year|morning|evening|weekend)s?\b)|(?:the|that|which|another) ones?|"
    r"the \w{1,20} ones?|that(?=\s*(?:[?.!,]|$))|others|another|else|"
    r"the (?:other|same|former|latter)|(?<!is )(?<!are )(?<!was )(?<!were )there(?! (?:is|are|was|were)\b)|"
    r"er|ihm|ihn|ihr|ihre[nmrs]?|seine[nmrs]?|dessen|deren|diese[nmrs]?|davon|dazu|dafür|damit|dort|"
    r"il|elles?|ils|lui|leurs?|celui|celle|ceux|là|él|ellos|ellas|sus?|ese|esa|eso|est[aeo]|allí)\b",
    re.IGNORECASE,
)

_CLAUSE = re.compile(r"[,;:—–.!?]|\b(?:and|but|or|if|when|while|because|und|aber|wenn|et|mais|y|pero)\b", re.IGNORECASE)

_OWNERS = frozenset("my our mein meine meinen meiner unser unsere mon ma mes notre nos mi mis nuestro nuestra".split())
"""What speakers call their own is named: "What is my dog's name?"."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """One of the turns right before a question: its text, and the unit vector of it, float32 [d]."""

    text: str
    vector: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Loan:
    """What a question borrows: a direction to add to its unit vector, float32 [d], and terms with their share, 0..1."""

    direction: Floats
    terms: dict[str, float]


def points(question: str) -> bool:
    """Whether it points at, or goes on with, something that it does not name."""
    asked = question[:_QUESTION_CHARS]
    if _CONTINUES.match(asked) and len(query_terms(asked)) <= CONTINUING_TERMS_MAX:
        return True
    first = _POINTS.search(asked)
    return first is not None and not _antecedent(asked[: first.start()])


@lru_cache(maxsize=2)
def names(question: str) -> bool:
    """Whether it names its subject: by a name inside the sentence, or as the speaker's own."""
    asked = question[:_QUESTION_CHARS]
    return _has_name(asked) or not _OWNERS.isdisjoint(query_words(asked))


def borrowed(question: str, vector: Floats, context: Sequence[Said], state: Floats, *, is_known: bool = False) -> Loan:
    """What the question borrows of the last turns (oldest first), else of the state vector; see the module.

    `vector` is the question's unit vector, `state` the state's (zeros if nothing was said), float32 [d]. `is_known`
    says that its words were met together before: then it has a subject, unless it points.
    """
    asked = without_stamp(question)
    is_pointing = points(asked)
    if not is_pointing and (is_known or names(asked)):
        return Loan(np.zeros(len(vector), np.float32), {})
    if not context:
        return Loan(np.float32(STATE_PULL * is_pointing) * state, {})
    turns = context[: -CONTEXT_TURNS - 1 : -1]
    shares = _shares(vector, [turn.vector for turn in turns])
    direction = _weighted(shares, [turn.vector for turn in turns])
    strength = 1.0 if is_pointing else _near(vector, norm(vector), direction)
    if not strength:
        return Loan(np.zeros(len(vector), np.float32), {})
    strength = round(strength * min(1.0, SHORT_TERMS / max(1, len(query_terms(asked)))), 6)
    lent: dict[str, float] = {}
    for share, turn in zip(shares, turns, strict=True):
        worth = strength * share
        for term in _lendable(without_stamp(turn.text)[:TURN_CHARS]):
            if lent.setdefault(term, worth) < worth:
                lent[term] = worth
    return Loan(np.float32(strength) * direction, {term: share for term, share in lent.items() if share > 0})


@lru_cache(maxsize=4_096)
def _lendable(beginning: str) -> tuple[str, ...]:
    """What a turn that begins like this lends; each is asked for by the next questions too."""
    return tuple(query_terms(beginning)[:TURN_TERMS_MAX])


def _shares(vector: Floats, turns: Sequence[Floats]) -> list[float]:
    """What each turn lends, newest first: less the further back, nothing if it is on another topic than the newest."""
    topic = vector + turns[0]
    length = norm(topic)
    return [1.0, *[TURN_DECAY**back * _near(topic, length, turn) for back, turn in enumerate(turns[1:], start=1)]]


def _near(left: Floats, length: float, right: Floats) -> float:
    """0..1: where the cosine lies between the two of NEAR_COSINES; `length` is that of `left`."""
    norms = max(float(np.float32(length) * np.float32(norm(right))), 1e-12)
    low, high = NEAR_COSINES
    near = (float(left.dot(right)) / norms - low) / (high - low)
    return round(min(1.0, near), 6) if near > 0.0 else 0.0


def _weighted(shares: Sequence[float], turns: Sequence[Floats]) -> Floats:
    """The sum of the turns by their shares, of which the first is 1."""
    total = turns[0]
    for share, turn in zip(shares[1:], turns[1:], strict=True):
        if share:
            total = total + np.float32(share) * turn
    return total


def _has_name(text: str) -> bool:
    """A capitalised word that does not begin the text: "What has Melanie painted?"."""
    capitalised = [word.casefold() for word in _WORD.findall(text)[1:] if word[0].isupper()]
    return not STOP_WORDS.issuperset(capitalised)


def _antecedent(before: str) -> bool:
    """What stands before a pronoun has what it means: a name, a clause of its own with a noun, or nouns enough."""
    content = sum(word not in STOP_WORDS for word in words(before))
    first = _WORD.search(before)
    if not content or not first:
        return False
    has_clause = _CLAUSE.search(before, first.end()) is not None  # the "and" that opens a question ends no clause
    return content >= ANTECEDENT_TERMS or has_clause or _has_name(before)
