"""Addresses in a text: URLs, e-mail and IP addresses, mentions, hashtags."""

import ipaddress
import re
from collections.abc import Iterator

from memory_core.literals.literal import Reading

_SCHEME = re.compile(r"(?<![a-z0-9])(?:https?|ftps?|sftp|wss?|ssh|git|s3|gs|file|redis|rediss|amqp|"
                     r"postgres(?:ql)?|mysql|mongodb(?:\+srv)?|sqlite|jdbc|ldaps?|data|mailto|tel)(?::/{2,3}|(?<=mailto):|(?<=tel):)"
                     r"[^\s<>\"`“”「」『』、。，]{1,2000}", re.I)  # fmt: skip
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_BARE = re.compile(
    rf"(?<![\w@./\\-])(?:{_LABEL}\.){{1,6}}([a-z]{{2,12}})(?::\d{{1,5}})?(?:/[^\s<>\"`]{{0,500}})?(?![\w@])",
    re.IGNORECASE,
)
_TOP_DOMAINS = frozenset(
    "com org net edu gov mil int info biz io dev app ai co me tv cc xyz online site shop store blog cloud tech academy "
    "design agency digital email news media wiki eu de fr es uk us ca au nz ch at nl be se no dk fi pl cz pt ie it ru "
    "cn jp kr in br mx ar za sg hk tw il tr gr hu ro ly gl ms si aws".split()
)
"""Endings that make a bare name an address. A list, since "end.Then" and "file.py" have the same shape."""

_WORD_DOMAINS = frozenset({"at", "be", "in", "it", "me", "no", "us", "is", "so", "to", "ms", "si", "il"})
"""Of these, the ones that are words: a full stop without a space before them is likelier a slip of the finger."""

_EMAIL = re.compile(
    rf"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_+%-]{{1,64}}(?:\.[A-Za-z0-9_+%-]{{1,64}}){{0,6}}@(?:{_LABEL}\.){{1,6}}[a-z]{{2,24}}"
    r"(?![\w@-])", re.IGNORECASE
)  # fmt: skip
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?::\d{1,5})?(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:/\d{1,3})?(?![\w:])")
_MENTION = re.compile(
    r"(?<![A-Za-z0-9._%+@/-])@[A-Za-z_]\w{1,38}(?!\w|\.\w|@)|(?<=[a-z])(?<!\.)@[A-Z]\w{1,38}(?![\w.@-])"
)
_HASHTAG = re.compile(r"(?<![\w#&/])#[^\W_]\w{0,59}(?!\w)")

_CLOSERS = {")": "(", "]": "[", "}": "{"}


def addresses(text: str, start: int, end: int) -> Iterator[Reading]:
    """The addresses in `text[start:end]`, a run of odd words; readings that overlap included."""
    has = text[start:end].__contains__
    if has(":"):
        yield from (_reading("url", m.start(), _trimmed(m.group())) for m in _SCHEME.finditer(text, start, end))
        yield from (_reading("ip", m.start(), m.group()) for m in _IPV6.finditer(text, start, end) if _is_ip(m.group()))
    if has("."):
        yield from (
            _reading("url", m.start(), _trimmed(m.group())) for m in _BARE.finditer(text, start, end) if _is_host(m)
        )
        yield from (
            _reading("ip", m.start(), m.group()) for m in _IPV4.finditer(text, start, end) if _is_quad(m.group())
        )
    if has("@"):
        yield from (_reading("email", m.start(), m.group()) for m in _EMAIL.finditer(text, start, end))
        yield from (_reading("mention", m.start(), m.group()) for m in _MENTION.finditer(text, start, end))
    if has("#"):
        yield from (_reading("hashtag", m.start(), m.group()) for m in _HASHTAG.finditer(text, start, end))


def _reading(kind: str, start: int, found: str) -> Reading:
    return Reading(kind, start, start + len(found), found.casefold() if kind == "email" else found)


def _trimmed(url: str) -> str:
    """Without the sentence's marks at the end, and without a bracket that the URL did not open."""
    end = len(url)
    while end:
        last = url[end - 1]
        opener = _CLOSERS.get(last)
        if last in ".,;:!?'\"*_" or (opener and url.count(last, 0, end) > url.count(opener, 0, end)):
            end -= 1
        else:
            break
    return url[:end]


def _is_host(match: re.Match[str]) -> bool:
    top, found = match.group(1), match.group()
    if found[:4].casefold() == "www.":
        return True
    if re.search(r"\.(?:com?|org|net|gov|edu|ac)\.[a-z]{2}(?=[/:]|$)", found):
        return True
    if top.casefold() not in _TOP_DOMAINS or not (top.islower() or found.isupper()):
        return False
    return top not in _WORD_DOMAINS or "/" in found or found.count(".") > 1 or found.islower()


def _is_quad(found: str) -> bool:
    return all(int(part) < 256 for part in re.split(r"[/:]", found)[0].split("."))


def _is_ip(found: str) -> bool:
    try:
        return ipaddress.ip_interface(found).version == 6 and any(mark.isalnum() for mark in found)
    except ValueError:
        return False
