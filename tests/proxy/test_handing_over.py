"""A stored conversation as a hand-off block, by the function and by the command."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import load_settings
from memory_core.stores import open_store
from proxy.app import open_configured_embedder
from proxy.claim import Claim
from proxy.handing_over import handed_over
from proxy.tokens import TokenCounter
from tests.support.embedders import HashedWordsEmbedder
from tests.support.messages import chat, traced
from tests.support.remembering import TALK, learn, remembering

STATED = ["You must always answer in French.", "Oui.", "My budget is 1,200 EUR.", "Noted.", "We decided to use Redis."]
count = TokenCounter({}).text


@pytest.fixture
async def store():
    opened = await open_store("memory://")
    yield opened
    await opened.aclose()


async def test_what_was_settled_is_handed_over(store):
    lineage = traced(chat(*STATED, *TALK[1:]))
    await learn(remembering(store), lineage)
    name = HashedWordsEmbedder().name
    block = await handed_over(store, name, lineage.conversation, 1000, count)
    assert block.startswith("# Hand-off")
    assert "always answer in French" in block
    assert "1,200 EUR" in block
    assert "use Redis" in block
    short = await handed_over(store, name, lineage.conversation, 90, count)
    assert count(short) <= 90
    assert "French" in short
    assert await handed_over(store, name, lineage.conversation, 5, count) == ""


async def test_a_conversation_that_nobody_knows(store):
    assert await handed_over(store, HashedWordsEmbedder().name, "unheard of", 1000, count) is None


@pytest.mark.slow
async def test_the_command_prints_it(tmp_path):
    url = f"sqlite:///{tmp_path}/store.sqlite"
    embedder, opened = await open_configured_embedder(load_settings({}, environ={})), await open_store(url)
    lineage = traced(chat(*STATED))
    await Claim(opened, embedder.name).confirm()
    await learn(remembering(opened, embedder), lineage)
    await opened.aclose()
    await embedder.aclose()
    command = [str(Path(sys.executable).with_name("isocost")), "handoff", lineage.conversation, "--store", url]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    assert "answer in French" in found.stdout
    command[2] = "unheard of"
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).returncode == 1
