"""One text: what is found in it, what it is, what it is said of."""

from decimal import Decimal

import pytest

from memory_core.literals import KINDS, extract

EXAMPLES = [
    # dates: ISO, German, US, in words, relative
    ("date", "shipped 2026-03-01 already", "2026-03-01", "2026-03-01"),
    ("date", "am 01.03.2026 geht es los", "01.03.2026", "2026-03-01"),
    ("date", "signed on 03/01/2026 by both", "03/01/2026", "2026-03-01"),
    ("date", "signed on 22/04/2026 by both", "22/04/2026", "2026-04-22"),
    ("date", "the party is on March 5th, 2026.", "March 5th, 2026", "2026-03-05"),
    ("date", "the 4th of July 1995 was hot", "the 4th of July 1995", "1995-07-04"),
    ("date", "die Frist endet am 5. März 2026", "5. März 2026", "2026-03-05"),
    ("date", "le 5 mars 2026 à Lyon", "5 mars 2026", "2026-03-05"),
    ("date", "截止日期是2026年3月1日。", "2026年3月1日", "2026-03-01"),
    ("date", "let us talk next Monday", "next Monday", "next monday"),
    ("date", "due in two weeks", "in two weeks", "in two weeks"),
    # times
    ("time", "doors open 18:30 sharp", "18:30", "18:30"),
    ("time", "doors open 6:30 pm sharp", "6:30 pm", "18:30"),
    ("time", "Beginn 18:30 Uhr", "18:30 Uhr", "18:30"),
    ("time", "the job runs 17:30 UTC", "17:30 UTC", "17:30 UTC"),
    ("time", "lunch, half past seven", "half past seven", "half past seven"),
    ("datetime", "starts 2026-03-01T08:30:00Z now", "2026-03-01T08:30:00Z", "2026-03-01T08:30:00Z"),
    ("datetime", "see you tomorrow at 9:15", "tomorrow at 9:15", "tomorrow at 9:15"),
    ("datetime", "March 5, 2026 at 3:30 pm is fine", "March 5, 2026 at 3:30 pm", "2026-03-05T15:30"),
    ("period", "figures of Q1 2026 are out", "Q1 2026", "q1 2026"),
    ("period", "free from 3:00 to 4:30 pm today", "from 3:00 to 4:30 pm today", "from 3:00 to 4:30 pm today"),
    ("period", "call me before 5 pm", "before 5 pm", "before 5 pm"),
    ("recurrence", "we meet every other Friday at 5pm", "every other Friday at 5pm", "every other friday at 5pm"),
    ("duration", "it took 2 hours and 30 minutes", "2 hours and 30 minutes", "150 minute"),
    ("duration", "wait half an hour", "half an hour", "0.5 hour"),
    ("age", "my son is seven years old", "seven years old", "7 year"),
    # amounts
    ("money", "es kostet 1.247,38 € im Jahr", "1.247,38 €", "1247.38 EUR"),
    ("money", "it costs 1,247.38 USD a year", "1,247.38 USD", "1247.38 USD"),
    ("money", "Fr. sagt man nicht: CHF 1'200.50", "CHF 1'200.50", "1200.5 CHF"),
    ("money", "etwa 1.247 € also", "1.247 €", "1247 EUR"),
    ("money", "the litre is $1.247 today", "$1.247", "1.247 USD"),
    ("money", "they raised $5.2 million", "$5.2 million", "5200000 USD"),
    ("money", "only thirteen dollars and forty-five cents", "thirteen dollars and forty-five cents", "13.45 USD"),
    ("money", "balance: -5.50 EUR", "-5.50 EUR", "-5.5 EUR"),
    ("money", "lunch cost five pounds", "five pounds", "5 GBP"),
    ("money", "₱ 500 a head", "₱ 500", "500 ₱"),
    ("quantity", "the parcel has 3,5 kg", "3,5 kg", "3.5 kg"),
    ("quantity", "the baby is seven pounds now", "seven pounds", "7 lb"),
    ("quantity", "it was -5 °C outside", "-5 °C", "-5 °C"),
    ("quantity", "limit of 100 km/h here", "100 km/h", "100 km/h"),
    ("quantity", "a 10 1/2 miles walk", "10 1/2 miles", "10.5 mi"),
    ("percentage", "we grew by 12,5 % again", "12,5 %", "12.5%"),
    ("percentage", "minus five percent then", "minus five percent", "-5%"),
    ("number", "sold two hundred and five tickets", "two hundred and five", "205"),
    ("number", "sold 1,000,000 tickets", "1,000,000", "1000000"),
    ("number", "use two and a half", "two and a half", "2.5"),
    ("number", "agent 0042 speaking", "0042", "0042"),
    ("number", "مبلغ ٥٠٠", "٥٠٠", "500"),
    # names
    ("phone", "call +49 30 1234567 now", "+49 30 1234567", "+49301234567"),
    ("phone", "(555) 010-4477 is the desk", "(555) 010-4477", "5550104477"),
    ("phone", "電話は03-1234-5678です", "03-1234-5678", "0312345678"),
    ("email", "write to Ada.L@Example.org, please", "Ada.L@Example.org", "ada.l@example.org"),
    (
        "url",
        "see https://example.org/a_(b)?q=1#f.",
        "https://example.org/a_(b)?q=1#f",
        "https://example.org/a_(b)?q=1#f",
    ),
    ("url", "or (www.example.org) instead", "www.example.org", "www.example.org"),
    ("ip", "it listens on 10.0.0.1:80 only", "10.0.0.1:80", "10.0.0.1:80"),
    ("ip", "it listens on fe80::204:61ff:fe9d:f156", "fe80::204:61ff:fe9d:f156", "fe80::204:61ff:fe9d:f156"),
    ("path", "edit /etc/hosts first", "/etc/hosts", "/etc/hosts"),
    ("path", "edit src/app/main.py first", "src/app/main.py", "src/app/main.py"),
    ("path", r"open C:\Users\ada\notes.txt now", r"C:\Users\ada\notes.txt", r"C:\Users\ada\notes.txt"),
    ("version", "we are on v2.4.1-rc1 now", "v2.4.1-rc1", "2.4.1-rc1"),
    ("version", "needs Python 3.11 at least", "3.11", "3.11"),
    ("uuid", "id 123E4567-e89b-12d3-a456-426655440000.", "123E4567-e89b-12d3-a456-426655440000", None),
    ("iban", "an DE89 3704 0044 0532 0130 00 und", "DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
    ("iban", "to GB82 WEST 1234 5698 7654 32 please", "GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765432"),
    ("vat", "our id is ATU13585627, thanks", "ATU13585627", "ATU13585627"),
    ("vat", "our id is DE 136695976, thanks", "DE 136695976", "DE136695976"),
    ("identifier", "flight LH1234 is late", "LH1234", "LH1234"),
    ("identifier", "rename parse_digits() soon", "parse_digits()", "parse_digits()"),
    ("identifier", "pass --max-old-space-size there", "--max-old-space-size", "--max-old-space-size"),
    ("mention", "ask @carol about it", "@carol", "@carol"),
    ("hashtag", "see ticket #A1 there", "#A1", "#A1"),
    ("quoted", "she said “not before noon” twice", "“not before noon”", "not before noon"),
    ("statement", "name: Ada Lovelace", "Ada Lovelace", "ada lovelace"),
    ("statement", "my dog is called Rex, by the way", "Rex", "rex"),
    ("statement", "start it with MODE=fast there", "fast", "fast"),
]


@pytest.mark.parametrize(("kind", "text", "found", "value"), EXAMPLES, ids=[f"{e[0]}-{e[2]}" for e in EXAMPLES])
def test_each_kind(kind: str, text: str, found: str, value: str | None) -> None:
    matches = [literal for literal in extract(text) if (literal.kind, literal.text) == (kind, found)]
    assert len(matches) == 1, [(literal.kind, literal.text) for literal in extract(text)]
    assert value in (None, matches[0].value)


def test_every_kind_has_an_example() -> None:
    assert {kind for kind, *_ in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "You may not, and I am sure of it.",
        "That one is the best of us, one way or another.",
        "He and/or she read it re-read it, TCP/IP aside.",
        "Half of the team will try a third option.",
        "1. Wash the car\n2) Feed the cat",
        "Vielleicht, vielleicht auch nicht.",
        "这是一个普通的句子。",
    ],
)
def test_prose_holds_no_literals(text: str) -> None:
    assert extract(text) == ()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("iban", "an DE88 3704 0044 0532 0130 00 und"),
        ("vat", "our id is DE136695970, thanks"),
        ("date", "on 2026-02-30 or 31.04.2026 or 99/99/2026"),
        ("date", "not 29.02.2025 either"),
        ("time", "at 25:00 or 13:75"),
        ("ip", "the address 1.1.1.256"),
        ("phone", "between 16-04-2010 and 3.1415926535"),
        ("email", "Ada@abc is none"),
        ("money", "try 5 pens, all 70 of us"),
    ],
)
def test_what_fails_its_check_is_not_of_the_kind(kind: str, text: str) -> None:
    assert kind not in {literal.kind for literal in extract(text)}


def test_amounts_are_decimals_with_their_unit() -> None:
    german, english = extract("1.247,38 €")[0], extract("1,247.38 EUR")[0]
    assert (german.amount, german.unit) == (english.amount, english.unit) == (Decimal("1247.38"), "EUR")
    assert german.value == english.value
    assert [literal.unit for literal in extract("20 km/h, 5 %, 3 days, 12")] == ["km/h", "%", "day", ""]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Our total budget is now about 1,247.38 USD.", "total budget"),
        ("**Deadline:** 2026-03-01", "deadline"),
        ("- Port: 8443", "port"),
        ("PORT=8443", "port"),
        ("My flight number is LH1234.", "flight number"),
        ("He boards flight LH1234.", "flight"),
        ("It is order no. 42.", "order number"),
        ("Please move the deadline from March 3 to March 5.", "deadline"),
        ("The budget was raised to 500 EUR.", "budget"),
        ("We have a budget of 500 EUR.", "budget"),
        ("Das Budget beträgt 500 EUR.", "budget"),
        ("Die IBAN lautet DE89 3704 0044 0532 0130 00.", "iban"),
        ("我的预算是5000元", "预算"),
        ('The WiFi password is "tr0ub4dor".', "wifi password"),
        ("His weight is 80 kg.", "his weight"),
        ("I think it is 5 kg.", ""),
        ("There are 12 eggs.", ""),
        ("Here are all the things that you need to buy: 12 eggs", ""),
    ],
)
def test_what_a_value_is_said_of(text: str, key: str) -> None:
    assert extract(text)[-1].key == key


def test_of_a_change_the_new_value_has_the_key() -> None:
    keys = {literal.text: literal.key for literal in extract("move the deadline from March 3 to March 5, 2026")}
    assert keys == {"March 3": "", "March 5, 2026": "deadline"}


def test_an_atom_that_is_the_value_is_no_statement_besides() -> None:
    assert [(found.kind, found.key) for found in extract("port: 8443")] == [("number", "port")]
    kinds = [(found.kind, found.text) for found in extract("address: 12 Mill Lane")]
    assert kinds == [("statement", "12 Mill Lane"), ("number", "12")]


def test_the_context_is_whole_words_around_a_placeholder() -> None:
    text = (
        "Considerably earlier than anybody expected the train leaves at 18:35 from the second platform of the station."
    )
    (found,) = (literal for literal in extract(text) if literal.kind == "time")
    assert found.context == "expected the train leaves at … from the second platform of"
    assert found.context.replace("…", found.text) in text


def test_keys_of_json_are_no_quotations() -> None:
    found = [(literal.text, literal.key) for literal in extract('{"cabin": "economy", "seats": 3}')]
    assert found == [('"economy"', "cabin"), ("3", "seats")]
