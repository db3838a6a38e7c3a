"""Decisions: what was settled in so many words, and which older decision that replaces."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from memory_core.entries.kinds import DECISIONS_MAX, Decision, bounded
from memory_core.entries.sentences import Prose, likeness, phrases, subjects

PER_TURN_MAX = 8

SAME_SUBJECT = 0.5
"""Two choices are about one thing from this Dice coefficient on: "deploy on Friday" and "deploy on Monday" are .5."""

# Each alternative begins with a letter: the engine then skips to those letters.
_ADVERBS = r"(?: (?:just|now|finally|already|all|both|then))?"
_SETTLED = (
    rf"we(?:['’]ve| have)?{_ADVERBS} (?:decided|agreed|opted|settled) (?:to|on|that|for|against|not to|upon)\b"
    r"|we(?:['’]re| are)(?: now)? (?:going with|sticking with|staying with|switching to|moving (?:over )?to)\b"
    r"|we(?:['’]ll| will| are going to|['’]re going to| shall) "
    r"(?:go with|stick (?:with|to)|stay with|switch (?:over )?to|standardi[sz]e on|settle on|opt for|drop)\b"
    r"|we(?:['’]ve| have)? (?:switched|migrated) (?:from|to|over to)\b"
    r"|we(?:['’]ll| will) (?:use|take|keep|do|have|get) (?=[^,.!?\n]{1,80}\b(?:instead of|rather than)\b)"
    r"|decision(?: is| was|:\**)(?: to| that)?(?= )(?! (?:made|up|yours|mine|not|taken)\b)"
    r"|was (?:decided|agreed) (?:to|that)\b"
    r"|wir haben (?:uns )?(?:(?:jetzt|nun|endlich|heute|gestern|gemeinsam) )?(?:beschlossen\b|"
    r"(?:f(?:ü|u\u0308|ue)r|gegen|darauf|dazu|auf)\b(?=[^.!?\n]{0,160}\b(?:entschieden|geeinigt|entschlossen)\b))"
    r"|wir (?:bleiben bei|setzen (?:jetzt |nun |k(?:ü|u\u0308|ue)nftig )?auf|wechseln (?:von|auf|zu)|steigen auf)\b"
    r"|wir (?:nehmen|verwenden|nutzen|benutzen) (?=[^,.!?\n]{1,80}\b(?:statt|anstatt|anstelle)\b)"
)
_BY_USER_ONLY = (
    rf"|i(?:['’]ve| have)?{_ADVERBS} (?:decided|opted) (?:to|on|that|for|against|not to)\b"
    r"|i(?:['’]ll| will) (?:use|take|keep|do|have|get) (?=[^,.!?\n]{1,80}\b(?:instead of|rather than)\b)"
    r"|i(?:['’]ll| will) (?:go with|stick with|opt for)\b"
    r"|let['’]?s (?:just )?(?:go with|use|stick (?:with|to)|stay with|switch (?:over )?to|adopt|settle on|"
    r"standardi[sz]e on)\b"
    r"|we(?:['’]ll| will) use\b"
    r"|ich habe mich (?:jetzt |nun )?(?:f(?:ü|u\u0308|ue)r|gegen)\b(?=[^.!?\n]{0,160}\bentschieden\b)"
    r"|lass(?:t)? uns (?=[^.!?\n]{1,160}\b(?:nehmen|verwenden|nutzen|benutzen|bleiben|wechseln)\b)"
)
"""A model says "let's use the formula" to explain and "I decided" in a story; neither settles anything."""

_BY_USER = re.compile(_SETTLED + _BY_USER_ONLY)
_BY_OTHERS = re.compile(_SETTLED)

_REASON = re.compile(r"[,;:.!—(]|\b(?:because|since|as it|so that|so we|which|weil|denn|damit|da wir)\b")
_FOR = re.compile(r"\b(?:for|as|when|in|f(?:ü|u\u0308|ue)r|als|bei)\b")
_NOT = re.compile(r"\b(?:instead of|rather than|and not|not|over|against|statt|anstatt|anstelle|gegen)\b")
_FROM_TO = re.compile(r"\bfrom\b(.{1,80}?)\bto\b|\bvon\b(.{1,80}?)\b(?:auf|zu)\b")
_SAYING = subjects("we use using used go going with stick stay take keep now then please nehmen uns")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a decision takes, what it turns down, and what for, as content terms."""

    taken: frozenset[str]
    refused: frozenset[str]
    purpose: frozenset[str]

    def replaces(self, older: "Choice") -> bool:
        """It turns down what was taken, or is for the same purpose, or much the same is taken (again)."""
        if older.taken & self.refused:
            return True
        if older.purpose and self.purpose:
            return likeness(older.purpose, self.purpose) >= SAME_SUBJECT
        return likeness(older.taken, self.taken) >= SAME_SUBJECT


def find(said: Prose, role: str) -> list[str]:
    """The quotes of the decisions in a turn, at most PER_TURN_MAX."""
    cue = _BY_USER if role == "user" else _BY_OTHERS
    stated = (phrase for phrase in phrases(cue, said) if phrase.is_stated and subjects(phrase.after))
    return list(dict.fromkeys(phrase.quote for phrase in islice(stated, PER_TURN_MAX)))


def merge(kept: Sequence[Decision], quotes: Sequence[str], turn: int) -> tuple[Decision, ...]:
    """`kept` with the new decisions; one said again is moved to `turn`, one about the same subject superseded."""
    for quote in quotes:
        choice = read(quote)
        others = [old for old in kept if old.superseded_by or read(old.quote) != choice]
        kept = [*(_after(old, choice, turn) for old in others), Decision(turn, quote)]
    return bounded(kept, DECISIONS_MAX, lambda decision: (not decision.superseded_by, decision.turn))


def _after(old: Decision, choice: Choice, turn: int) -> Decision:
    falls = not old.superseded_by and choice.replaces(read(old.quote))
    return replace(old, superseded_by=turn) if falls else old


@lru_cache(maxsize=1_024)
def read(quote: str) -> Choice:
    """The choice in a quote: "[we'll use] Postgres instead of MySQL for billing, because …"."""
    lower = quote.lower()
    cue = _BY_USER.search(lower)
    opening, said = (cue[0], lower[cue.end() :]) if cue else ("", lower)
    said = next((part for part in _REASON.split(said) if part.strip()), said)
    moved = _FROM_TO.search(opening + said)
    left = subjects(moved[1] or moved[2]) if moved else frozenset()
    choice, *purposes = _FOR.split(said, maxsplit=1)
    taken, *refused = _NOT.split(choice)
    if opening.endswith(("against", "not to", "gegen")):
        taken, refused = "", [taken, *refused]
    turned_down = (subjects(" ".join(refused)) | left) - _SAYING
    return Choice(subjects(taken) - turned_down - _SAYING, turned_down, subjects(" ".join(purposes)) - _SAYING)
