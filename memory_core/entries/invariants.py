"""Invariants: rules and facts that the user states once and means for good."""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from memory_core.entries.kinds import INVARIANTS_MAX, Invariant, bounded
from memory_core.entries.sentences import Phrase, Prose, likeness, phrases, subjects

PER_TURN_MAX = 8

SAME_RULE = 0.6
"""Dice coefficient from which two rules are one; "always" and "never" do not count, for a reversal is the same rule."""

_DO = (
    "use|run|call|commit|push|merge|delete|remove|write|add|include|return|respond|reply|answer|address|ask|assume|"
    "change|modify|touch|edit|overwrite|expose|log|print|store|send|share|mention|suggest|recommend|give|show|format|"
    "check|validate|test|escape|quote|wrap|import|install|deploy|restart|book|order|schedule|speak|translate|put|set|"
    "start|end|create|generate|provide|cite|explain|round|convert|confirm|skip|ignore|disable|enable|cook|serve|"
    "repeat|rename|refactor|reformat|propose|offer|charge|pay|buy|sort|name|prefix|sign|document|hardcode|hard-code|"
    "assign|insert|update|omit|leave|link|read|save|treat|apply|make sure|switch|force-push|rebase|squash"
)
"""Verbs of instructions: "never use", "always ask", but not "never give up" or "always love to hear it"."""

_LANGUAGES = (
    "english|german|french|spanish|italian|portuguese|dutch|polish|russian|ukrainian|turkish|arabic|hindi|chinese|"
    "mandarin|japanese|korean|swedish|danish|norwegian|finnish|czech|greek|hebrew|deutsch|englisch|franz\\w{1,4}sisch"
)
_RULES = (
    rf"always (?:{_DO})\b|never (?:ever )?(?:{_DO})\b(?! (?:up|it in|me)\b)|do not ever (?:{_DO})\b"
    rf"|don['’]?t ever (?:{_DO})\b"
    r"|from (?:now|here|this point) on\b(?=[ ,:])|going forward\b(?=[ ,:])|in future (?:answers|replies|code)\b"
    r"|under no circumstances\b|(?:make|be) sure (?:to|you) (?:always|never)\b"
    r"|invariant:(?= )|hard rule:(?= )|house rule:(?= )|standing rule:(?= )|general rule:(?= )"
    rf"|answer (?:me )?(?:only |always )?in (?:{_LANGUAGES})\b|reply (?:only |always )?in (?:{_LANGUAGES})\b"
    rf"|respond (?:to me )?(?:only |always )?in (?:{_LANGUAGES})\b|antworte (?:mir )?(?:bitte )?(?:immer |nur )?auf\b"
    r"|ab (?:jetzt|sofort|heute) |auf keinen fall\b|unter keinen umst(?:ä|a\u0308|ae)nden\b"
    r"|immer (?=[^.!?\n]{1,80}\b\w{2,20}en\b ?[.!]?$)|nie(?:mals)? (?=[^.!?\n]{1,80}\b\w{2,20}en\b ?[.!]?$)"
)
_FACTS = (
    r"i(?:['’]m| am) (?:also |severely |very |highly |deathly |really )?(?:allergic to|intolerant (?:to|of))\b"
    r"|i(?:['’]m| am) (?:also )?(?:strictly )?(?:a )?(?:strict )?"
    r"(?:vegan|vegetarian|pescatarian|coeliac|celiac|diabetic|lactose[- ]intolerant|gluten[- ]free|colou?r[- ]?blind|"
    r"teetotal)\b"
    r"|i have (?:a |an )?(?:severe |bad |serious )?(?:\w{2,20}[ -]){0,2}(?:allergy|allergies|intolerance)\b"
    r"|i (?:don['’]?t|do not|never|can['’]?t|cannot|only) (?:eat|drink|smoke)\b(?! (?:enough|too|that|much|it|as)\b)"
    r"|i (?:always|only|never) (?:use|fly|work|travel|pay|code|wear|buy|order)\b(?! (?:it|that|this|them)\b)"
    r"|i (?:strongly |generally |usually |always )?prefer (?!to (?:know|hear)\b)(?=\w)"
    r"|my pronouns are\b|call me (?=\w{2,30}[,.!]|\w{2,30}$)|my preferred \w{2,30}(?: \w{2,30})? (?:is|are)\b"
    r"|ich bin (?:allergisch gegen|vegan|vegetarier(?:in)?|veganer(?:in)?|diabetiker(?:in)?)\b"
    r"|ich (?:esse|trinke) (?:kein(?:e|en)?|nie|niemals|nur)\b|ich bevorzuge\b"
)
_CUE = re.compile(rf"\b(?:{_RULES}|{_FACTS})", re.MULTILINE)

_OBLIGATION = re.compile(
    r"must (?:always|never|not)\b(?! have (?:been|had|\w{2,20}ed)\b)|may never\b"
    r"|shall (?:never|not|always)\b|should (?:always|never)\b"
    r"|is (?:an invariant|non-negotiable|a hard (?:rule|requirement|constraint))\b"
    r"|muss (?:immer|stets)\b|m(?:ü|u\u0308|ue)ssen (?:immer|stets)\b|darf (?:nie|niemals|nicht)\b"
    r"|d(?:ü|u\u0308|ue)rfen (?:nie|niemals|nicht)\b"
)
_SUBJECT_WORDS_MAX = 6
_NO_SUBJECT = frozenset("i it there he she ich es er sie man".split())
""""It must not have been easy" is a guess and "I must never forget that day" a sigh, not a rule for the other side."""

_POLARITY = subjects("always never ever must not do don should immer nie niemals stets nicht please make sure")


def find(said: Prose) -> list[str]:
    """The quotes of the rules and standing facts in a user's turn, at most PER_TURN_MAX."""
    rules = (phrase for phrase in phrases(_CUE, said) if phrase.is_stated and _rule(phrase.quote))
    duties = (phrase for phrase in phrases(_OBLIGATION, said) if _binds(phrase))
    found = [*islice(rules, PER_TURN_MAX), *islice(duties, PER_TURN_MAX)]
    found.sort(key=lambda phrase: phrase.start)
    return list(dict.fromkeys(phrase.quote for phrase in found))[:PER_TURN_MAX]


def _binds(phrase: Phrase) -> bool:
    """A rule about something that is named: "the API must never return null"."""
    words = phrase.opening.lower().split()
    named = 0 < len(words) <= _SUBJECT_WORDS_MAX and words[-1] not in _NO_SUBJECT
    return named and phrase.is_asserted


def merge(kept: Sequence[Invariant], quotes: Sequence[str], turn: int) -> tuple[Invariant, ...]:
    """`kept` with the new statements; a newer wording of a rule, its reversal too, takes the older one's place."""
    for quote in quotes:
        rule = _rule(quote)
        same = [old for old in kept if likeness(_rule(old.quote), rule) >= SAME_RULE]
        newest = Invariant(quote, min((old.first for old in same), default=turn), turn)
        kept = [*(old for old in kept if old not in same), newest]
    return bounded(kept, INVARIANTS_MAX, lambda invariant: (invariant.last,))


@lru_cache(maxsize=1_024)
def _rule(quote: str) -> frozenset[str]:
    return subjects(quote) - _POLARITY
