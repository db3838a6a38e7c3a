"""Words to classes: one letter for each kind of word that dates, amounts and numbers are made of.

The grammars (temporal.py, quantities.py) are regular expressions over these letters, one a token, not over the
text: short, linear, and a language is added by adding its words here. A word has one class; where it could have two
("second", "quarter", "m", "pounds", "may") it gets a class of its own and the grammar decides.

    numbers   n 1..31   Y 1500..2199   i other whole   f decimal, fraction   o ordinal   s one..nineteen   t twenty..
              H hundred, million   a a, an   F half, third
    calendar  M month   m month or another word   W weekday   w short weekday   V Mondays   R today, tomorrow
              N next, last   U day, week, year   h hour, minute   S second   q quarter   Q Q (of Q1)   P morning
              K noon   A am, pm   O o'clock, Uhr   T 8:30   D 2026-03-01   e 22/04   X 2026-03-01T08:30Z
    function  c at   I in   p on   g of   d the   u to, until   v from   b between   j and   B before   L ago
              E early, end   z every   Z daily   y old   G age   r per   k other   l all   J point
    measures  1 € and ISO codes   2 dollars   3 US (dollars)   4 cents   5 percent   6 unit   7 m   8 square
              9 pounds   C celsius   x degree
    marks     , ; (full stop) _ (dashes) / : and a new line for themselves   ! any other   0 any other word
"""

NUMBER_WORDS = {
    word: value
    for value, words in enumerate(
        (
            "zero nought naught null",
            "one eins",
            "two zwei",
            "three drei",
            "four vier",
            "five fünf",
            "six sechs",
            "seven sieben",
            "eight acht",
            "nine neun",
            "ten zehn",
            "eleven elf",
            "twelve zwölf",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        )
    )
    for word in words.split()
}
TENS = {
    word: 20 + 10 * place for place, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())
}
SCALES = {
    "hundred": 10**2,
    "dozen": 12,
    "dozens": 12,
    "lakh": 10**5,
    "crore": 10**7,
    "mil": 10**6,
    "thousand": 10**3,
    "tausend": 10**3,
    "k": 10**3,
    "million": 10**6,
    "millions": 10**6,
    "millionen": 10**6,
    "mio": 10**6,
    "mn": 10**6,
    "mln": 10**6,
    "billion": 10**9,
    "billions": 10**9,
    "milliarden": 10**9,
    "mrd": 10**9,
    "bn": 10**9,
    "bln": 10**9,
    "trillion": 10**12,
    "tln": 10**12,
    "trn": 10**12,
    "万": 10**4,
    "億": 10**8,
    "亿": 10**8,
}
POWERS = {"hundredth": 10**2, "thousandth": 10**3, "millionth": 10**6, "billionth": 10**9, "trillionth": 10**12}
ORDINALS = {
    word: day
    for day, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
        "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        start=1,
    )
} | {"thirtieth": 30}
FRACTIONS = {
    word + plural: parts
    for word, parts in ({word: day for word, day in ORDINALS.items() if day > 2} | POWERS).items()
    for plural in ("", "s")
} | {"half": 2, "halves": 2, "halb": 2, "quarter": 4, "quarters": 4}
"""The names of parts: a third is 1/3. In the singular most are ordinals too, and stand for a part after "a" or one."""

MONTHS = {
    word: month
    for month, words in enumerate(
        (
            "january jan januar jänner janvier enero",
            "february feb februar février febrero",
            "march mar märz mrz mars marzo",
            "april apr avril abril",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet julio",
            "august aug août agosto",
            "september sept sep septembre septiembre",
            "october oct oktober okt octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember dez décembre diciembre",
        ),
        start=1,
    )
    for word in words.split()
}
CURRENCIES = {
    "$": "USD", "us$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB",
    "₺": "TRY", "₴": "UAH", "₪": "ILS", "฿": "THB", "₫": "VND", "₦": "NGN", "₿": "BTC", "rs": "INR",
    "元": "CNY", "円": "JPY",
    "dollar": "USD", "dollars": "USD", "bucks": "USD", "euro": "EUR", "euros": "EUR", "yen": "JPY", "yuan": "CNY",
    "rmb": "CNY", "renminbi": "CNY", "rupee": "INR", "rupees": "INR", "franken": "CHF", "francs": "CHF",
    "franc": "CHF", "mark": "DEM", "marks": "DEM", "ruble": "RUB", "rubles": "RUB", "peso": "MXN",
    "pesos": "MXN", "reais": "BRL", "krona": "SEK", "kronor": "SEK", "kroner": "NOK", "lira": "TRY",
    "zloty": "PLN", "rand": "ZAR", "dirham": "AED", "dirhams": "AED", "baht": "THB", "sterling": "GBP", "quid": "GBP",
}  # fmt: skip
"""Symbols and words; what names several currencies ("dollar", "$", "peso") stands for the one most often meant."""

CURRENCY_CODES = frozenset(
    "usd eur gbp jpy cny chf cad aud nzd inr brl mxn rub krw sek nok dkk pln czk huf ron bgn try zar sgd hkd twd thb "
    "idr myr php vnd ils aed sar egp ngn kes clp cop ars pen uah isk btc eth".split()
)
ADJECTIVES = {
    "us": "USD", "u.s": "USD", "american": "USD", "canadian": "CAD", "australian": "AUD", "singapore": "SGD",
    "chinese": "CNY", "swiss": "CHF", "japanese": "JPY", "mexican": "MXN", "indian": "INR", "british": "GBP",
}  # fmt: skip
DURATION_UNITS = {
    word: unit
    for unit, words in {
        "second": "seconds sec secs sekunde sekunden s ms",
        "minute": "minute minutes min mins minuten",
        "hour": "hour hours hr hrs h stunde stunden",
        "day": "day days tag tage tagen d",
        "week": "week weeks woche wochen wk wks",
        "month": "month months monat monate monaten",
        "year": "year years jahr jahre jahren yr yrs y",
        "decade": "decade decades",
        "century": "century centuries",
        "weekend": "weekend weekends wochenende",
    }.items()
    for word in words.split()
}
UNITS = {
    word: unit
    for unit, words in {
        "kg": "kg kgs kilogram kilograms kilogramm kilo kilos",
        "g": "g gram grams gramm",
        "mg": "mg milligram milligrams",
        "mcg": "mcg µg μg",
        "lb": "lb lbs",
        "oz": "oz ounce ounces",
        "t": "ton tons tonne tonnes tonnen",
        "km": "km kms kilometer kilometers kilometre kilometres",
        "m": "meter meters metre metres metern",
        "cm": "cm centimeter centimeters centimetre centimetres zentimeter",
        "mm": "mm millimeter millimeters millimetre millimetres",
        "mi": "mi mile miles meile meilen",
        "ft": "ft foot feet",
        "in": "inch inches zoll",
        "yd": "yd yard yards",
        "l": "l liter liters litre litres",
        "ml": "ml milliliter milliliters",
        "cl": "cl",
        "gal": "gal gallon gallons",
        "ha": "ha hectare hectares hektar",
        "acre": "acre acres",
        "bbl": "barrel barrels",
        "bit": "bit bits",
        "B": "byte bytes",
        "kB": "kb kib kilobyte kilobytes",
        "MB": "mb mib megabyte megabytes",
        "GB": "gb gib gigabyte gigabytes",
        "TB": "tb tib terabyte terabytes",
        "Hz": "hz khz mhz ghz",
        "W": "w watt watts kw mw",
        "kWh": "kwh wh mwh",
        "V": "v volt volts",
        "mAh": "mah ah",
        "px": "px pixel pixels",
        "mph": "mph",
        "kcal": "kcal calories calorie kalorien",
        "bar": "bar psi",
        "dB": "db",
        "m2": "m² sqm qm",
    }.items()
    for word in words.split()
}
LABELS = frozenset(
    "flight flug room zimmer raum gate seat sitz port order bestellung ticket invoice rechnung table platform gleis "
    "pin code apartment apt suite extension bus train zug case issue reservation booking confirmation buchung account "
    "konto customer kundennummer bestellnummer rechnungsnummer flugnummer model build release serial tracking "
    "membership passport license licence plate locker box unit chapter channel user id sku batch lot".split()
)
"""Nouns that stand right before the value they name: "flight LH1234", "order no. 42", "port 8443"."""

_CLASSES = {
    "a": "a an",
    "F": "half halves thirds halb quarters",
    "J": "point",
    "m": "may mar mars march mai",
    "w": "mon tue tues wed thu thur thurs fri sat sun",
    "W": "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag "
    "sonntag sonnabend christmas easter thanksgiving",
    "V": "mondays tuesdays wednesdays thursdays fridays saturdays sundays montags dienstags mittwochs donnerstags "
    "freitags samstags sonntags weekdays",
    "R": "today tomorrow yesterday tonight heute gestern übermorgen vorgestern tmr tmrw",
    "N": "next last this previous following coming past upcoming nächste nächsten nächster nächstes letzte letzten "
    "letzter letztes kommende kommenden diese diesen dieser",
    "S": "second",
    "q": "quarter quartal",
    "Q": "q",
    "P": "morning afternoon evening night mornings afternoons evenings nights vormittag nachmittag abend",
    "K": "noon midnight noonish midday mitternacht",
    "A": "am pm a.m p.m",
    "O": "o'clock oclock uhr",
    "c": "at um @ around gegen",
    "I": "in",
    "p": "on am",
    "g": "of",
    "d": "the der die das den dem",
    "u": "to until till through thru bis",
    "v": "from von ab vom",
    "b": "between zwischen",
    "j": "and & und",
    "B": "before after since vor nach seit by",
    "L": "ago later hence",
    "E": "early earlier late mid beginning end start middle ende anfang",
    "z": "every each jeden jede jedes",
    "Z": "daily weekly monthly yearly annually quarterly biweekly hourly everyday täglich wöchentlich monatlich "
    "jährlich",
    "y": "old yo alt",
    "G": "age aged",
    "r": "per pro",
    "k": "other",
    "l": "all whole entire",
    "4": "cent cents pence centavos",
    "5": "% percent percentage percents prozent ％ ‰",
    "7": "m",
    "8": "square sq cubic metric",
    "9": "pound pounds pfund",
    "C": "celsius fahrenheit centigrade kelvin celcius farenheit ℃ ℉",
    "x": "degree degrees deg ° grad",
    ",": ", 、 ，",
    ";": ".",
    "_": "- – — −",
    "/": "/",
    ":": ": ：",
}
_HOURS = frozenset({"second", "minute", "hour"})


def _letters() -> dict[str, str]:
    """Later tables win: "second" is S, not an ordinal, and "quarter" is q, not a fraction."""
    letters = dict.fromkeys(NUMBER_WORDS, "s") | dict.fromkeys(TENS, "t") | dict.fromkeys(SCALES, "H")
    letters |= (
        dict.fromkeys(FRACTIONS, "F")
        | dict.fromkeys(ORDINALS, "o")
        | dict.fromkeys(MONTHS, "M")
        | dict.fromkeys(UNITS, "6")
    )
    letters |= {word: "h" if unit in _HOURS else "U" for word, unit in DURATION_UNITS.items()}
    letters |= {word: "2" if len(word) > 3 or word in ("yen", "rmb") else "1" for word in CURRENCIES}
    letters |= dict.fromkeys(CURRENCY_CODES, "1") | dict.fromkeys(ADJECTIVES, "3")
    ours = {word: letter for letter, words in reversed(_CLASSES.items()) for word in words.split()}
    return letters | ours


LETTERS = _letters()
