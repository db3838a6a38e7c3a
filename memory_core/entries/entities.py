"""Entities: names of people, places, products, files; counted by the turns that mention them.

Capitals are evidence only in mid-sentence, and none at all for single words of a language that capitalises its nouns.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from memory_core.entries.kinds import ENTITIES_MAX, MENTION_WORTH_TURNS, NAME_CHARS_MAX, Entity, bounded
from memory_core.entries.sentences import CANDIDATES_MAX, Prose, one_line, phrase_at

PER_TURN_MAX = 24
"""A turn with more names than this is a list or a page, not talk about them."""

QUOTE_CHARS = 160
WORDS_MAX = 5
"""A longer run of capitals is a title or a heading."""

_CAPITAL = r"[A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶĹĽŁŃŇŌŐŒŘŚŞŠŤŪŮŰŲŹŻŽΑ-ΩЀ-Я]"
_INSIDE = r"[\w’'@./#&-]"
_WORD = rf"{_CAPITAL}[\w’'-]{{0,40}}"
_SPAN = re.compile(
    rf"{_CAPITAL}(?<!{_INSIDE}\w)[\w’'-]{{0,40}}(?: (?:(?:of|de|del|da|di|la|von|van|der|du) ){{0,2}}{_WORD}){{0,7}}"
)
_CODE = re.compile(rf"`([^`\s]{{2,{NAME_CHARS_MAX}}})`")
_CODE_NAME = re.compile(r"[\w@$./:\\-]{1,80}(?:\(\))?")
_HANDLE = re.compile(r"@(?<![\w.@/]@)[A-Za-z][\w-]{1,38}\b(?![.@]\w)")
_SUFFIX = re.compile(
    r"\.(?:py|pyi|js|jsx|ts|tsx|go|rs|c|cc|cpp|h|hpp|java|kt|rb|php|cs|swift|sql|md|toml|ya?ml|json|csv|pdf|docx|xlsx|"
    r"ipynb|sh)\b(?![\w/.@])"
)
_PATH_END = re.compile(r"(?<![\w./@:-])[\w./-]{1,60}\Z")
# Each pattern begins with the character that starts it, and looks back from there: the engine skips to it.

_SENTENCE_START = re.compile(r"(?:^|[.!?…:;\n\"“”(\[*_•>|–—-])\s*$")
_GERMAN = frozenset("der die das und ist nicht ich wir ein eine mit auf zu den für von im am".split())
_ENGLISH = frozenset("the and is to of a in you it was for that i my".split())

_OPENERS = frozenset(
    "a about absolutely actually after again ah all also although always amazing an and another any anyway are as at "
    "awesome be because been before best both but by bye call can check come congrats congratulations cool could "
    "create dear definitely did do does don't dr each either enjoy even every everyone everything exactly excellent "
    "fantastic feel find finally first for from get give glad go good got great had happy has have haven't having he "
    "hello help her here here's hey hi his hmm hope how however if in indeed instead into is isn't it it'll it's its "
    "just keep last lately later let let's like look looking lol love make many maybe me more most mr mrs ms much my "
    "never next nice no nope not note now of oh ok okay on once one only or other our over perfect perhaps please "
    "plus pretty really recently right same see seems she should since so some someone something sometimes soon sorry "
    "sounds still such super sure take talk tell than thank thanks that that'll that's the their them then there "
    "there's therefore these they they're they've thing things think this those though through thus to today together "
    "tomorrow tonight too totally true try two under until up upon us use using very wait was wasn't way we we'd "
    "we'll we're we've welcome well were what what's when whenever where which while who who's why will wish with "
    "without wonderful won't would wow yeah year years yep yes yesterday yet you you'll you're you've your yours ich "
    "du er sie es wir ihr der die das den dem des ein eine und oder aber ist sind war kein nicht mit von für ja nein "
    "bitte danke hallo guten herr frau woah whoa yay aww haha gosh man dude damn speaking ask visit meet".split()
)
"""Words that have a capital for their place in a sentence; in the midst of one they may begin a name ("The Verge")."""

_UNNAMED = frozenset(
    "i i'd i'll i'm i've monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun january "
    "february march april may june july august september october november december jan feb mar apr jun jul aug sep "
    "sept oct nov dec english german french spanish italian am pm ps pst est utc gmt god btw omg fyi asap tbh idk faq "
    "diy tv montag dienstag mittwoch donnerstag freitag samstag sonntag".split()
)
"""Words that have a capital everywhere and name no one thing: I, the calendar, abbreviations of chats."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in this turn and where it stands; only a certain one may found an entity, others count a known one."""

    name: str
    place: int
    is_certain: bool


def find(said: Prose, role: str) -> list[Mention]:
    """The names in a turn, each once, at most PER_TURN_MAX of them certain.

    An assistant's capitals only count what the user has named: its lists of sights and brands are no entities.
    """
    found: dict[str, Mention] = {}
    certain = 0
    for mention in _mentions(said, by_user=role == "user"):
        known = found.get(mention.name.casefold())
        if known is None or (mention.is_certain and not known.is_certain):
            found[mention.name.casefold()] = mention
            certain += mention.is_certain
        if certain == PER_TURN_MAX or len(found) == 4 * PER_TURN_MAX:
            break
    return list(found.values())


def _mentions(said: Prose, *, by_user: bool) -> Iterator[Mention]:
    for match in islice(_CODE.finditer(said.text), CANDIDATES_MAX):
        if _CODE_NAME.fullmatch(match[1]) and not match[1].isnumeric():
            yield Mention(match[1], match.start(), by_user or not match[1].isalpha())
    for match in islice(_SUFFIX.finditer(said.text), CANDIDATES_MAX):
        path = _PATH_END.search(said.text, max(0, match.start() - NAME_CHARS_MAX), match.start())
        if path and not path[0].isnumeric():
            yield Mention(path[0] + match[0], path.start(), True)
    for match in islice(_HANDLE.finditer(said.text), CANDIDATES_MAX):
        yield Mention(match[0], match.start(), by_user)
    words = frozenset(said.text.split())
    is_german = len(words & _GERMAN) > len(words & _ENGLISH)
    for match in islice(_SPAN.finditer(said.text), CANDIDATES_MAX):
        span = match[0].rpartition(" von ")[2] if is_german else match[0]  # there, "of" more often than a title
        names, opens = _trimmed(span.split(" "), said.text, match.end() - len(span))
        if names and len(names) <= WORDS_MAX:
            name = " ".join(names)[:NAME_CHARS_MAX]
            is_word = len(names) == 1 and (opens or is_german or _is_ordinary(name, words))
            yield Mention(name, match.end() - len(span), by_user and not is_word and not name.isupper())


def _trimmed(words: list[str], text: str, place: int) -> tuple[list[str], bool]:
    """A span without possessives and what is no name at its edges, and whether a sentence opens with what is left."""
    opens = place == 0 or _SENTENCE_START.search(text, max(0, place - 4), place) is not None
    first, last = 0, len(words)
    while first < last and _is_idle(words[first], opens or last == 1):
        first += 1
    while first < last and (words[last - 1].islower() or _is_idle(words[last - 1], False)):
        last -= 1
    while first < last and words[first].islower():
        first += 1
    bare = [word.rstrip("-'’") for word in words[first:last]]
    return [re.sub(r"['’]s$", "", word) for word in bare], opens and first == 0


def _is_idle(word: str, by_place: bool) -> bool:
    """The word's capital is no sign of a name: wherever it stands, or, if so asked, for its place."""
    folded = word.replace("’", "'").casefold()
    return folded in _UNNAMED or (by_place and folded in _OPENERS)


def _is_ordinary(word: str, words: frozenset[str]) -> bool:
    """The word is short, names an exception, or stands in lower case elsewhere in the turn."""
    if len(word) < 3 or word.endswith(("Error", "Exception")):
        return True
    lower = word.lower()
    return not words.isdisjoint((lower, lower + ".", lower + ",", lower + "!", lower + "?", lower + "s"))


def merge(kept: Sequence[Entity], mentions: Sequence[Mention], said: Prose, turn: int) -> tuple[Entity, ...]:
    """`kept` with the mentions of a turn counted and the certain ones among the new names added."""
    entities = {entity.key: entity for entity in kept}
    for mention in mentions:
        known = entities.get(mention.name.casefold())
        if known:
            entities[known.key] = replace(known, count=known.count + (known.last < turn), last=turn)
        elif mention.is_certain:
            phrase = phrase_at(said.text, mention.place, mention.place)
            quote = one_line(phrase.quote, QUOTE_CHARS)
            entities[mention.name.casefold()] = Entity(mention.name, 1, turn, turn, quote)
    return bounded(list(entities.values()), ENTITIES_MAX, lambda e: (e.last + MENTION_WORTH_TURNS * e.count,))
