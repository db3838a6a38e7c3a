"""Images, sounds and files outside the window: a placeholder that says so, and nothing else of a text changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_core.stores import open_store
from proxy.recollection import quotable
from tests.support.composing import replica
from tests.support.transcripts import PICTURE


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("[image_url]", "[image, not sent again]"),
        ("Look:\n[image_url]\n[file]", "Look:\n[image, not sent again]\n[file, not sent again]"),
        ("[input_audio]\nand then", "[audio, not sent again]\nand then"),
        ("The [file] menu", "The [file] menu"),
        ("[unknown_part]", "[unknown_part]"),
    ],
)
def test_what_is_only_named_is_said_not_to_be_there(text: str, quoted: str):
    assert quotable(text) == quoted


@given(st.text())
def test_text_without_brackets_is_quoted_as_it_is(text: str):
    plain = text.replace("[", "(")
    assert quotable(plain) == plain


async def test_a_picture_before_the_window_is_a_placeholder_and_one_inside_is_sent():
    store = await open_store("memory://")
    one = await replica(store, mode="compact")
    picture = {"role": "user", "content": [{"type": "text", "text": "This is my red bicycle."}, PICTURE]}
    talk = [
        {"role": role, "content": f"{n} words on " + "something else " * 20}
        for n in range(8)
        for role in ("assistant", "user")
    ]
    sent = await one.send(
        [
            picture,
            *talk[:-1],
            {"role": "user", "content": [{"type": "text", "text": "Which colour has my bicycle?"}, PICTURE]},
        ],
        1.0,
    )
    await store.aclose()
    assert sent.made.mode == "compact"
    asked = json.loads(sent.forwarded[-1])["content"]
    assert asked[1] == PICTURE
    assert "This is my red bicycle.\n[image, not sent again]" in asked[2]["text"]
    assert not any(PICTURE["image_url"]["url"] in raw.decode() for raw in sent.forwarded[:-1])
