"""What the demo model says, from a prompt alone."""

import os
import subprocess
import sys

from proxy.demo.answers import NO_ANSWER, answer, text_of
from proxy.demo.script import load_script


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


FACT = "The boat is moored at the old lime kiln."
ASKED = user("Where is the boat moored?")
FILLER = [user(f"Number {n} was a grey day with soup and letters.") for n in range(8)]


def test_quotes_the_sentence_of_the_history_that_answers():
    history = [user(f"It rained. {FACT} I went home."), assistant("I see."), *FILLER]
    assert answer([*history, ASKED]) == f"You told me: “{FACT}”"


def test_says_plainly_that_the_prompt_holds_no_answer():
    assert answer([*FILLER, ASKED]) == NO_ANSWER
    assert answer([ASKED]) == NO_ANSWER


def test_reads_memory_lines_without_their_prefix_wherever_they_stand():
    block = f"<memory turns=12>\nEarlier in this conversation:\n[12 user] {FACT}\n[14 user] Soup.\n</memory>"
    expected = f"You told me: “{FACT}”"
    assert answer([{"role": "system", "content": f"Be brief.\n\n{block}"}, *FILLER, ASKED]) == expected
    assert answer([*FILLER, user(f"{ASKED['content']}\n\n{block}")]) == expected
    parts = [{"type": "text", "text": ASKED["content"]}, {"type": "text", "text": block}]
    assert answer([*FILLER, {"role": "user", "content": parts}]) == expected


def test_never_quotes_the_model_itself_not_even_from_memory():
    remembered = {"role": "system", "content": f"<memory>\n[3 assistant] {FACT}\nSaid twice. {FACT}\n</memory>"}
    assert answer([remembered, assistant(FACT), *FILLER, ASKED]) == NO_ANSWER


def test_never_answers_a_question_with_a_question():
    assert answer([ASKED, *FILLER, user("Where was the boat moored?")]) == NO_ANSWER


def test_a_question_that_stands_in_recalled_memory_is_not_the_users():
    message = user("We had a quiet day with soup.\n<memory>\n[2 user] Where is the boat moored?\n</memory>")
    assert not answer([user(FACT), message]).startswith(("You told me", NO_ANSWER))


def test_of_equal_sentences_the_latest_wins():
    history = [user("The code is red."), user("The code is blue."), *FILLER]
    assert answer([*history, user("What is the code?")]) == "You told me: “The code is blue.”"
    assert answer([*history, user("The code is red."), user("What is the code?")]) == "You told me: “The code is red.”"


def test_small_talk_is_varied_and_repeats_no_fact():
    script = load_script()
    replies = [answer([user(line.say)]) for line in script.turns if line.asks is None]
    assert all(40 <= len(reply.split()) <= 60 for reply in replies)
    assert len(set(replies)) == len(replies)
    assert not any(fact in reply for reply in replies for fact in script.facts.values())
    assert not any("?" in reply for reply in replies)


def test_small_talk_takes_any_text():
    for text in ("", "{}", "{0.__class__}", "\ud800 {first}", "🙂" * 50, "\x00", "1 2 3"):
        assert 40 <= len(answer([user(text)]).split()) <= 60
    assert answer([assistant("no user here")])


def test_text_of_keeps_text_parts_only():
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, "odd", {"type": "text", "text": None}]
    assert text_of({"content": parts}) == "a"
    assert text_of({"content": None}) == text_of({}) == ""


def test_another_process_with_another_hash_seed_says_the_same(pytestconfig):
    code = (
        "from proxy.demo.answers import answer; from proxy.demo.script import load_script\n"
        "said = [{'role': 'user', 'content': line.say} for line in load_script().turns]\n"
        "print([ascii(answer(said[: n + 1])) for n in range(120)])"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=pytestconfig.rootpath,
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].count(b"You told me") == 16
