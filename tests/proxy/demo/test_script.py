"""The conversation keeps its promises: every fact planted once, verbatim, and asked for once, much later."""

from proxy.demo.script import load_script

SCRIPT = load_script()
PLANTED = {line.plants: turn for turn, line in enumerate(SCRIPT.turns, 1) if line.plants is not None}
ASKED = {line.asks: turn for turn, line in enumerate(SCRIPT.turns, 1) if line.asks is not None}


def test_there_are_120_turns_of_a_readable_length():
    words = [len(line.say.split()) for line in SCRIPT.turns]
    assert len(words) == 120
    assert min(words) >= 20
    assert max(words) <= 75
    assert sum(words) / len(words) > 50


def test_the_sixteen_facts_are_planted_early_and_asked_for_late():
    assert len(SCRIPT.facts) == 16
    assert PLANTED.keys() == ASKED.keys() == SCRIPT.facts.keys()
    assert sum(line.plants is not None for line in SCRIPT.turns) == 16
    assert sum(line.asks is not None for line in SCRIPT.turns) == 16
    assert all(3 <= turn <= 45 for turn in PLANTED.values())
    assert all(turn >= 70 and turn - PLANTED[key] >= 45 for key, turn in ASKED.items())


def test_each_fact_stands_in_its_own_turn_and_nowhere_else():
    for key, fact in SCRIPT.facts.items():
        holders = [turn for turn, line in enumerate(SCRIPT.turns, 1) if fact.lower() in line.say.lower()]
        assert holders == [PLANTED[key]], key


def test_only_the_asking_turns_hold_a_question():
    for line in SCRIPT.turns:
        assert line.say.count("?") == (0 if line.asks is None else 1), line.say


def test_no_two_turns_are_the_same():
    assert len({line.say for line in SCRIPT.turns}) == 120
