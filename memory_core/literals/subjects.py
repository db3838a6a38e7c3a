"""What a value is said of: the words before it read backwards, to a key such as "budget" or "flight number".

Bounded steps over tokens instead of a pattern over text: "our total budget is now about" ends in fillers, a copula,
the subject, a possessive, and each is a set of words here, so that a language is added by its words.
"""

from functools import lru_cache

from memory_core.literals.lexer import Tokens
from memory_core.literals.lexicon import LABELS

_ADVERBS = frozenset(
    "now currently about approximately approx around roughly exactly only just still actually at on by set fixed due "
    "scheduled jetzt etwa ca genau rund bei am um auf".split()
)
_FILLERS = _ADVERBS | frozenset("~ ≈ * \" ' “ ` ( [ < no nr number".split())
_COPULAS = frozenset(
    "is are was were be been equals = : ： becomes remains totals costs weighs measures ist sind war beträgt lautet "
    "liegt kostet wird est sera es son será é".split()
)
_AUXILIARIES = frozenset(
    "is are was were has have had been be being will would should must got gets wurde wird".split()
)
_CHANGES = frozenset(
    "set change changed changes update updated move moved raise raised lower lowered increase increased reduce reduced "
    "cut switch switched push pushed bump bumped correct corrected extend extended postpone postponed reschedule "
    "rescheduled rename renamed shift shifted grew grown rose risen fell fallen dropped went geändert erhöht "
    "verschoben gesenkt bring brought".split()
)
_SKIPPED = _AUXILIARIES | _ADVERBS
_ORNAMENTS = frozenset("* \" ' ` _ ( ) [ ]".split())
_DETERMINERS = frozenset(
    "my the our your his her their its this that a an mein meine unser unsere der die das dein deine ihr ihre el la le "
    "les mi mon ma notre nuestro".split()
)
_OTHERS = frozenset({"his", "her", "their"})
"""Part of the key: "his phone" must not correct "my phone"."""

_STOPS = frozenset(
    "i you he she it we they there here who what which where when why how if and or but so then because since also "
    "well ok okay hi hello yes no not please think thinks know knows said says say believe guess sure that's it's "
    "remember note noted understand mean meant have has had do does did can could will would should may might must "
    "let lets make sure am pm und oder aber ich du er sie es wir dass wenn ja nein bitte et je un una y pero".split()
)
_EDGE_PREPOSITIONS = frozenset("of for with in on at to from by von für mit in de du des".split())
_QUALIFIERS = frozenset(
    "new current latest updated final revised correct corrected actual exact old previous number no nr code id "
    "neue neuer neues neuen aktuelle aktueller aktuelles nummer".split()
)
_CJK_COPULAS = ("是", "为", "為", "は", "：", "等于")
_CJK_OWNERS = ("我的", "我们的", "我們的", "私の", "あなたの", "这个", "的")
_KEY_WORDS_MAX = 4
_STEPS_MAX = 14
_WORD_CHARS_MAX = 40


def subject(tokens: Tokens, place: int) -> str:
    """The key of the value that begins at token `place`, folded in case; "" where the text names none."""
    step = place - 1
    while step >= 0 and place - step <= 4 and tokens.words[step] in _FILLERS:
        step -= 1
    if step < 0 or tokens.letters[step] == "\n":
        return ""
    word = tokens.words[step]
    if word in _COPULAS:
        return _before(tokens, step - 1, colon=word in (":", "：", "="))
    if word in ("to", "auf", "into") or (step + 1 < place and tokens.words[step + 1] == "auf"):
        return _changed(tokens, step - (word in ("to", "into")))
    if word == "of":
        return _before(tokens, step - 1, colon=False, needs_determiner=True)
    return _cjk(word) or _label(tokens, step, place)


@lru_cache(maxsize=4096)
def topic(key: str) -> str:
    """What two keys share that mean the same thing: their words in order, "new" and "number" and the like left out."""
    words = key.split()
    content = sorted({word for word in words if word not in _QUALIFIERS})
    return " ".join(content if content else sorted(words))


def is_change(tokens: Tokens, place: int) -> bool:
    """Whether "from A to B" at token `place` tells of a change ("move it from A to B") and not of a range."""
    for step in range(place - 1, max(-1, place - 8), -1):
        if tokens.letters[step] in "\n;":
            return False
        if tokens.words[step] in _CHANGES:
            return True
    return False


def _before(tokens: Tokens, step: int, *, colon: bool, needs_determiner: bool = False) -> str:
    """Words back to a determiner, a mark or a pronoun; too many words are a sentence, not a subject."""
    words: list[str] = []
    determined = False
    while step >= 0 and len(words) <= _KEY_WORDS_MAX:
        word = tokens.words[step]
        if word in _ORNAMENTS or (not words and word in _SKIPPED):
            step -= 1
            continue
        if word in _DETERMINERS:
            determined = True
            words[:0] = [word] if word in _OTHERS else []
            break
        if colon and word in _STOPS:
            return ""
        if word in _STOPS or not _is_word(word):
            break
        words.insert(0, word)
        step -= 1
    if len(words) > _KEY_WORDS_MAX or (needs_determiner and not determined):
        return ""
    if not determined and not colon and step >= 0 and not _is_mark(tokens.words[step]):
        words = words[-2:]
    return _key(words)


def _changed(tokens: Tokens, step: int) -> str:
    """The subject of "move the deadline [from A] to B" or of "the deadline has been moved [from A] to B"."""
    words: list[str] = []
    floor = max(-1, step - _STEPS_MAX)
    while step > floor and tokens.letters[step] not in "\n;":
        word = tokens.words[step]
        if word == "from":
            words = []
        elif word in _CHANGES:
            return _key(words) if words else _before(tokens, step - 1, colon=False)
        elif word in _STOPS:
            return ""
        elif _is_word(word) and word not in _DETERMINERS:
            words.insert(0, word)
        step -= 1
    return ""


def _label(tokens: Tokens, step: int, place: int) -> str:
    """ "flight LH1234", "order no. 42", "invoice #7": a noun that names what follows it."""
    named = tokens.words[step + 1 : place]
    while step >= 0 and (tokens.words[step] in ("#", "number", "no", "nr", "id") or tokens.letters[step] == ";"):
        named = [tokens.words[step], *named]
        step -= 1
        if len(named) > 3:
            return ""
    if step < 0:
        return ""
    word = tokens.words[step]
    numbered = any(name in ("number", "no", "nr", "#") for name in named)
    if word in LABELS or (numbered and _is_word(word) and word not in _STOPS | _DETERMINERS | _COPULAS):
        return _key([word, "number"] if numbered else [word])
    return ""


def _cjk(word: str) -> str:
    """The end of an unspaced run: "我的预算是" names 预算."""
    if word.isascii() or not word.endswith(_CJK_COPULAS):
        return ""
    name = word[:-1]
    for owner in _CJK_OWNERS:
        name = name.rpartition(owner)[2]
    return name if 0 < len(name) <= 8 else ""


def _is_word(word: str) -> bool:
    return word[:1].isalpha() and len(word) <= _WORD_CHARS_MAX


def _is_mark(word: str) -> bool:
    return not word[:1].isalnum()


def _key(words: list[str]) -> str:
    """Without prepositions at its edges, and none if it is one letter."""
    while words and words[0] in _EDGE_PREPOSITIONS:
        words = words[1:]
    while words and words[-1] in _EDGE_PREPOSITIONS:
        words = words[:-1]
    key = " ".join(words)
    return key if len(key) > 1 or not key.isascii() else ""
