"""Names that only their exact characters identify: UUID, IBAN, VAT ids, versions, paths, words of code, references."""

import re
from collections.abc import Callable, Iterator

from stdnum import iban
from stdnum.ch import vat as swiss_vat
from stdnum.eu import vat as european_vat
from stdnum.gb import vat as british_vat

from memory_core.literals.literal import Reading

_HEX = "[0-9A-Fa-f]"
_UUID = re.compile(rf"(?<![0-9A-Za-z-])(?:urn:uuid:)?(?:\{{|%7B)?"
                   rf"({_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}|{_HEX}{{32}})"
                   r"(?:\}|%7D)?(?![0-9A-Za-z-])", re.I)  # fmt: skip
_GROUP = r"[ -]?[0-9A-Za-z]{1,4}"
_IBAN = re.compile(rf"(?<![0-9A-Za-z])[A-Za-z]{{2}}\d{{2}}(?=[ -]?[0-9A-Za-z]{{4}})(?:{_GROUP}){{3,9}}(?![0-9A-Za-z])")
_VAT_STATES = "AT|BE|BG|CY|CZ|DE|DK|EE|EL|GR|ES|FI|FR|HR|HU|IE|IT|LT|LU|LV|MT|NL|PL|PT|RO|SE|SI|SK|XI|GB|CHE"
_VAT = re.compile(rf"(?<![0-9A-Za-z])(?:{_VAT_STATES})[ -]?[0-9A-Z](?:[ .-]?[0-9A-Z]){{6,13}}(?![0-9A-Za-z])")
_VERSION = re.compile(r"(?<![\w.-])(?:v\d{1,6}(?:\.\d{1,6}){0,3}|\d{1,6}(?:\.\d{1,6}){2,3})"
                      r"(?:-?(?:alpha|beta|rc|dev|post|a|b)[.-]?\d{0,6}|-[0-9A-Za-z][0-9A-Za-z.-]{0,30})?"
                      r"(?:\+[0-9A-Za-z.-]{1,30})?(?![\w-]|\.\d)", re.I)  # fmt: skip
_NO_VERSION = re.compile(r"\d{1,2}\.\d{1,2}\.(?:\d{2}|\d{4})|[1-9]\d{0,2}(?:\.\d{3}){2,3}")
"""Three numbers with points are a day, or millions as the continent writes them, before they are a version."""

_RELEASE = re.compile(r"(?<![\w.,-])\d{1,4}(?:\.\d{1,5}){1,3}(?![\w%€$]|\.\d)")
_PRODUCT = re.compile(r"\b(?:version|release|python|node|java|php|ruby|go|ubuntu|debian|postgres(?:ql)?|redis|mysql|"
                      r"cuda|django|rails|react|vue|angular|kernel|ios|android|macos)[ :=]{1,2}\Z", re.I)  # fmt: skip
_PRODUCT_CHARS = 14
"""What may stand before two numbers with a point between, so that they are a version and no amount."""

_FILE = "|".join(
    "py pyi js mjs ts tsx jsx json jsonl ya?ml toml ini cfg conf env md rst txt csv tsv xml html? css scss c h cc cpp "
    "hpp rs go java kt rb php sh bash ps1 sql db log lock pdf docx? xlsx? pptx? png jpe?g gif svg webp mp[34] wav zip "
    "tar gz tgz whl onnx gguf ipynb proto tf service pem crt key bin exe dll so".split()
)
_PATH = re.compile(
    r"(?<![\w/.:~@-])(?:~|\.{1,2}|\$\{?[A-Z_]{1,40}\}?)?/[\w.@%+~=-][\w.@%+~=/-]{0,400}"
    r"|(?<![\w/.:~@-])(?:[\w.@+-]{1,80}/){1,30}[\w.@+-]{0,80}"
    rf"|(?<![\w/.:~@-])[\w@+-]{{1,80}}(?:\.[\w+-]{{1,40}}){{0,3}}\.(?:{_FILE})(?![\w/@-]|\.\w)"
    r"|(?<!\w)[A-Za-z]:\\[^\s\"<>|*?:]{1,300}|(?<![\w\\])\\\\[\w.-]{1,80}\\[^\s\"<>|*?:]{1,300}"
)
_FILE_END = re.compile(rf"\.(?:{_FILE})$")
_CODE = re.compile(
    r"(?<![\w.@/-])(?:--?[A-Za-z][\w-]{2,60}(?!\w)|_{0,2}[A-Za-z]\w{0,80}(?:(?:\.|::|->)[A-Za-z_]\w{0,80}){0,6}\(\)?"
    r"|[A-Za-z_][\w-]{0,80}(?:(?:\.|::)[A-Za-z_]\w{0,80}){0,6}|\d[\w]{1,80}(?:-[\w-]{1,80})?)",
    re.ASCII,
)
_PIVOT = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]|_|\d[A-Za-z-]|[A-Za-z-]\d|\(\)|--[A-Za-z]|::", re.ASCII)
"""What every word of code has somewhere: where it is missing, the longer pattern need not look."""

_LONG = re.compile(r"(?:\d[ .-]?){2}|[0-9A-Fa-f]{8}")
_DIGIT = re.compile(r"\d")
_MIXED = re.compile(r"(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{4,64}\Z", re.ASCII)
_COMPOUND = re.compile(r"\d+(?:-[a-z]+)+\Z")
_SEAT = re.compile(r"[A-Z]{1,2}\d{1,4}\Z|\d{1,3}[A-Z]\Z", re.ASCII)
_CASED = re.compile(r"_{0,2}[a-z]+[a-z0-9]*(?:[A-Z][a-z0-9]+|_[a-z0-9]+)+_{0,2}\Z|[A-Z][a-z0-9]+(?:[A-Z]+[a-z0-9]+)+\Z"
                    r"|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\Z", re.ASCII)  # fmt: skip
_MEASURE = re.compile(
    r"\d+(?:st|nd|rd|th|am|pm|k|m|g|s|h|x|d|y|px|em|rem|ms|kg|km|cm|mm|mb|gb|tb|kb|lbs?|min|hrs?|bn)\Z", re.I
)


def codes(text: str, start: int, end: int) -> Iterator[Reading]:
    """The exact names in `text[start:end]`, a run of odd words; readings that overlap included."""
    part = text[start:end]
    if _LONG.search(part):
        for match in _UUID.finditer(text, start, end):
            yield _reading("uuid", match, match.group(), match.group(1).replace("-", "").casefold())
        yield from _checked("iban", text, start, end, _IBAN, _is_iban)
        yield from _checked("vat", text, start, end, _VAT, _is_vat)
    if _DIGIT.search(part):
        yield from _versions(text, start, end)
    if "/" in part or "." in part or "\\" in part:
        yield from _paths(text, start, end)
    if _PIVOT.search(part):
        for match in _CODE.finditer(text, start, end):
            if _is_code(match.group()):
                yield _reading("identifier", match, match.group(), match.group())


def _reading(kind: str, match: re.Match[str], found: str, value: str) -> Reading:
    return Reading(kind, match.start(), match.start() + len(found), value)


def _checked(
    kind: str, text: str, start: int, end: int, shape: re.Pattern[str], valid: Callable[[str], bool]
) -> Iterator[Reading]:
    """The longest beginning of each shape that passes its check digits: the words after a number look like more."""
    match = shape.search(text, start, end)
    while match:
        found = match.group()
        ends = [len(found), *(place for place in range(len(found) - 1, 7, -1) if found[place] in " -")]
        right = next((found[:end] for end in ends if valid(found[:end])), "")
        if right:
            yield _reading(kind, match, right, "".join(filter(str.isalnum, right)).upper())
        match = shape.search(text, match.start() + len(right or found), end)


def _versions(text: str, start: int, end: int) -> Iterator[Reading]:
    for match in _VERSION.finditer(text, start, end):
        if _NO_VERSION.fullmatch(match.group()):
            continue
        yield _reading("version", match, match.group(), match.group().casefold().removeprefix("v"))
    for match in _RELEASE.finditer(text, start, end):
        if _PRODUCT.search(text, max(0, match.start() - _PRODUCT_CHARS), match.start()):
            yield _reading("version", match, match.group(), match.group())


def _is_iban(number: str) -> bool:
    """Check digits (mod 97) and the country's length and form; banks' own check digits are not asked for."""
    return number[:2].isupper() == number[:2].isalpha() and bool(iban.is_valid(number, check_country=False))


def _is_vat(number: str) -> bool:
    if number.startswith("CHE"):
        return bool(swiss_vat.is_valid(number))
    if number.startswith("GB"):
        return bool(british_vat.is_valid(number))
    return bool(european_vat.is_valid(number))


def _paths(text: str, start: int, end: int) -> Iterator[Reading]:
    for match in _PATH.finditer(text, start, end):
        found = match.group().rstrip(".,:;-")
        rooted = "\\" in found or found[:1] in "/~.$" or found.count("/") > 2 or _FILE_END.search(found)
        folder = found.endswith("/") and found.count("/") > 1
        if (rooted or folder) and len(found) > 2 and "//" not in found and not found.replace("/", "").isdigit():
            yield _reading("path", match, found, found)


def _is_code(word: str) -> bool:
    """Whether a word is one that prose does not have: a call, a flag, mixed case, underscores, letters with digits."""
    if word.endswith(("(", "()")):
        return word.endswith("()") and len(word) > 4
    if word.startswith("-"):
        return word.startswith("--")
    if _CASED.match(word):
        return True
    if _MEASURE.match(word) or _COMPOUND.match(word) or word.isdigit():
        return False
    if "." in word or "::" in word:
        return "_" in word or "::" in word or any(map(str.isupper, word[1:]))
    return (_MIXED.match(word) or _SEAT.match(word)) is not None and not word.endswith("-")
