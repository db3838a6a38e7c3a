"""What the demo model says: a pure function of the messages it received.

A question is answered with the sentence of the prompt that shares the most of its rare words, so whoever
reads the answer sees whether a fact arrived. All else gets small talk that repeats nothing: a fact lives
on only in the user's own words or in the proxy's memory, never in an echo of the model's.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NO_ANSWER = "Nothing in the prompt that I received answers this."

# A question needs this share (0..1) of its summed word weights in one sentence. Measured on the demo's
# conversation: sentences that hold the fact reach 0.37 to 0.83, the best of a prompt without it 0.00 to 0.31.
COVERAGE_MIN = 0.35

_MEMORY = re.compile(r"<memory\b[^>]*>(.*?)</memory>", re.DOTALL)
_PREFIX = re.compile(r"\s*\[([^\]\n]{1,120})\]\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’)]*\s+")
_WORD = re.compile(r"[^\W_]+")
_STOP_WORDS = frozenset(
    """
    a about again all already also am an and any anything are as at be because been before but by can could
    did do does doing don down everybody everything first for from get give given go going had has have he
    her here him his how i if in into is it its just let little ll many me more much my no nobody not
    nothing now of off on once one or our out over please put re really remember remind said say says see
    she should so some somebody something tell than that the their them then there these they thing this to
    told too up us ve very was we were what when where which while who whom whose why will with would you
    your
    """.split()
)

_OPENERS = (
    "That is good to hear, and thank you for keeping me posted.",
    "I enjoyed reading that, and I can picture the scene quite well.",
    "Thank you for telling me, I like the way you go about it.",
    "You have a knack for telling these things so that one can see them.",
    "I am glad that you wrote, I had been wondering how it went.",
    "What a way to spend a day, I would have liked to be there.",
    "I read that twice, once for the news and once for pleasure.",
)
_TOPICS = (
    "“{}” and “{}” are the words that stayed with me, and I will keep both in mind for later.",
    "If I had to choose a title I would take “{}”, or perhaps “{}”, and leave the rest to you.",
    "There is a whole chapter between “{}” and “{}”, and you tell it without any fuss.",
    "I would happily hear more about “{}”, and about “{}” too, whenever you find a quiet hour.",
    "My attention went to “{}” first and to “{}” second, which probably says something about me.",
    "Between “{}” and “{}” I could not say which I would rather hear about next.",
)
_THOUGHTS = (
    "Take it at your own pace, because nobody is holding a clock over you.",
    "It sounds as if patience and good company are doing most of the work here.",
    "Whatever comes of it, the trying already seems to have been worth the trouble.",
    "I would do it just as you describe, with a little tea before and after.",
    "Small steps like these have a way of adding up when nobody is looking.",
    "I have no advice to offer, only a good deal of sympathy and some curiosity.",
    "Somehow the setbacks in your story are nearly as cheerful as the victories.",
)
_CLOSERS = (
    "Write again when there is news, good or bad.",
    "Let me know how the next part turns out.",
    "I look forward to hearing what happens after that.",
    "Rest a little if you can, and then tell me the rest.",
    "I am here whenever you want to think out loud.",
)


def text_of(message: Mapping[str, Any]) -> str:
    """The text of one message, its text parts joined by newlines; empty where it has none."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def answer(messages: Sequence[Mapping[str, Any]]) -> str:
    """The reply to the last user message; the same messages give the same reply, in any process."""
    asked = next((text_of(message) for message in reversed(messages) if message.get("role") == "user"), "")
    own = _MEMORY.sub("\n", asked)
    questions = [sentence for sentence in _sentences(own) if _is_question(sentence)]
    if not questions:
        return _small_talk(own)
    found = _best_sentence(_words(" ".join(questions)), messages)
    return NO_ANSWER if found is None else f"You told me: “{found}”"


def _best_sentence(asked: frozenset[str], messages: Sequence[Mapping[str, Any]]) -> str | None:
    told: dict[str, frozenset[str]] = {}
    for message in messages:
        for sentence in _told(str(message.get("role")), text_of(message)):
            if not _is_question(sentence):
                told.pop(sentence, None)  # said again is said later: ties go to the latest
                told[sentence] = _words(sentence)
    spread = Counter(word for words in told.values() for word in words)
    weight = {word: math.log1p((len(told) - spread[word] + 0.5) / (spread[word] + 0.5)) for word in asked}
    # fsum: the order of a set changes from process to process, and plain sums change with it
    scores = {s: math.fsum(weight[word] for word in asked & words) for s, words in told.items()}
    best = max(reversed(scores), key=scores.__getitem__, default=None)
    if best is None or scores[best] < COVERAGE_MIN * math.fsum(weight.values()) or scores[best] == 0:
        return None
    return best


def _told(role: str, text: str) -> Iterator[str]:
    """The sentences of a message that the model itself did not say; lines of memory carry their speaker."""
    for number, piece in enumerate(_MEMORY.split(text)):
        remembered = number % 2 == 1
        speaker = "memory" if remembered else role
        for line in piece.splitlines():
            words = line
            if remembered and (prefix := _PREFIX.match(line)):
                speaker, words = prefix[1], line[prefix.end() :]
            if "assistant" not in speaker:
                yield from _sentences(words)


def _sentences(text: str) -> list[str]:
    pieces = (piece.strip() for line in text.splitlines() for piece in _SENTENCE_END.split(line))
    return [piece for piece in pieces if piece]


def _is_question(sentence: str) -> bool:
    return sentence.rstrip("\"'”’)* ").endswith(("?", "？"))


def _words(text: str) -> frozenset[str]:
    words = (word for word in _WORD.findall(text.lower()) if len(word) > 1 and word not in _STOP_WORDS)
    return frozenset(_stem(word) for word in words)


def _stem(word: str) -> str:
    """Cheap: christened = christen, decided = decide, keys = key."""
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


def _subjects(text: str) -> list[str]:
    words = {word for word in re.findall(r"[^\W\d_]+", text) if word.islower() and 4 <= len(word) <= 20}
    return sorted(words - _STOP_WORDS, key=lambda word: (-len(word), word))


def _small_talk(own: str) -> str:
    """40 to 60 words. The user's part in it is two of their words, from the opening sentence if that has two."""
    digest = hashlib.sha256(own.encode("utf-8", "surrogatepass")).digest()
    opening = next(iter(_sentences(own)), "")
    first, second, *_ = dict.fromkeys([*_subjects(opening), *_subjects(own), "this", "that"])
    pools = (_OPENERS, _TOPICS, _THOUGHTS, _CLOSERS)
    sentences = (pool[byte % len(pool)] for pool, byte in zip(pools, digest, strict=False))
    return " ".join(sentences).format(first, second)
