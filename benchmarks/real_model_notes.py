"""What the user of the real-model benchmark pastes: logs, notes and reports from the shifts of a small waterworks.

Made of templates by a fixed seed, so that every run says the same and nobody's licence is in it. No line is said twice:
a repeated one would be found in two places, and to recall either would be right. Each paste ends in a question, every
third time about an earlier paste.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

SEED = 20
FIRST_SHIFT = date(2026, 3, 2)

WHO = (
    *("Ines Arrieta", "Tobias Falk", "Noor Haddad", "Petra Lindqvist", "Samuel Okoro", "Giulia Renner", "Marek Dvorak"),
    *("Yara Benali", "Henrik Solberg", "Lucia Ferrante", "Anton Weiss", "Mirela Popa"),
)
WHERE = (
    *("the north weir", "the upper intake", "the filter hall", "the old pumping station", "the river gauge at Marden"),
    *("the reservoir on Kestrel Hill", "the chlorine room", "the settling tank behind the yard", "the valve chamber"),
    *("the booster station in Elm Lane", "the laboratory", "the east gallery", "the sluice by the mill"),
)
WHAT = {
    "bar": ("the pressure sensor", "the second pump", "the bypass valve", "the backwash blower"),
    "litres a second": ("the flow meter", "the sampling tap", "the outlet gate", "the screen rake"),
    "degrees": ("the standby generator", "the telemetry box", "the motor of the crane"),
    "milligrams a litre": ("the dosing line", "the turbidity probe", "the oxygen probe"),
    "centimetres": ("the float switch", "the level recorder", "the ladder gauge"),
}
SEEN = (
    *("ran warm after lunch", "stuck half open until somebody tapped it", "read low against the hand gauge"),
    *("was quiet for the whole shift", "lost its signal during the storm", "leaked a little at the lower flange"),
    *("came back by itself", "needed a new gasket", "drifted upwards as the sun reached the roof"),
    *("was cleaned and put back", "rattled whenever the river rose", "agreed with the laboratory again"),
    *("tripped once and was reset", "held steady although the demand doubled", "smelled of burnt rubber"),
)
THEN = (
    *("we left it running and told the night shift", "a spare is ordered from the depot in Harrow"),
    *("nobody has an explanation yet", "the contractor will look at it on Friday", "it goes on the list for spring"),
    *("the reading was repeated with the second instrument", "I would rather watch it for another week"),
    *("the old drawing in the office turned out to be wrong", "we swapped the cable and the fault went with it"),
    *("the children of the neighbour had thrown gravel into it", "the warden at the lock had noticed the same"),
    *("it was the same last autumn after the leaves came down", "that makes the third time since the thaw"),
)
ASKED = (
    "What should {who} look at first after shift {turn}, and why?",
    "Is there anything in shift {turn} that cannot wait for {who} to come back?",
    "How would you put shift {turn} to {who} in one sentence?",
    "What of shift {turn} would you mention to {who} before the weekend?",
    "Do you see a pattern in shift {turn}, or is {what} a matter of its own?",
)
ASKED_AGAIN = "Before I forget, in shift {turn}: what did {who} say on {day} about {what} at {where}?"


@dataclass(frozen=True, slots=True)
class Entry:
    """One observation; `at` is the hour and minute, `reading` has its unit."""

    at: str
    who: str
    where: str
    what: str
    reading: str
    seen: str
    then: str

    def logged(self) -> str:
        """As a line of a log."""
        return f"{self.at} {self.where}: {self.what} {self.seen}, {self.reading} ({self.who})"

    def noted(self) -> str:
        """As a sentence."""
        return f"At {self.where} {self.what} {self.seen}; {self.who} wrote down {self.reading}, and {self.then}."

    def reported(self) -> str:
        """As an item of a list."""
        return f"- {self.who}, {self.where}: {self.what} at {self.reading}, {self.then}."


FORMS: Sequence[tuple[str, Callable[[Entry], str]]] = (
    ("Log of {day}, shift {turn}:", Entry.logged),
    ("My notes of {day}, shift {turn}.", Entry.noted),
    ("Report for {day}, shift {turn}:", Entry.reported),
)


def pastes(turns: int, chars: int) -> list[str]:
    """So many messages of about `chars` characters each, the last line reached not cut; the same ones every time."""
    draw = random.Random(SEED)
    told: list[tuple[str, Entry]] = []
    made = []
    for turn in range(1, turns + 1):
        day = _day(turn)
        head, form = FORMS[turn % 3]
        lines = [head.format(day=day, turn=turn)]
        for entry in _entries(draw):
            lines.append(form(entry))
            told.append((day, entry))
            if sum(map(len, lines)) >= chars:
                break
        if form is Entry.logged:
            lines[1:] = sorted(lines[1:])  # by the hour
        again = turn % 3 == 0
        asked_day, asked = draw.choice(told) if again else told[-1]
        question = ASKED_AGAIN if again else draw.choice(ASKED)
        lines.append(question.format(turn=turn, who=asked.who, where=asked.where, what=asked.what, day=asked_day))
        made.append("\n".join(lines))
    return made


def _day(turn: int) -> str:
    day = FIRST_SHIFT + timedelta(days=turn)
    return f"{day:%A} {day.day} {day:%B}"


def _entries(draw: random.Random) -> Iterator[Entry]:
    while True:
        unit = draw.choice(list(WHAT))
        yield Entry(
            at=f"{draw.randrange(6, 22):02d}:{draw.randrange(60):02d}",
            who=draw.choice(WHO),
            where=draw.choice(WHERE),
            what=draw.choice(WHAT[unit]),
            reading=f"{draw.randrange(1, 90)}.{draw.randrange(10)} {unit}",
            seen=draw.choice(SEEN),
            then=draw.choice(THEN),
        )
