"""A stored conversation as a hand-off block, and a forgotten one; by the function and by the commands."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import load_settings
from memory_core.stores import open_store
from proxy.app import open_configured_embedder
from proxy.claim import Claim
from proxy.demo.model import demo_model
from proxy.handing_over import handed_over
from proxy.tokens import TokenCounter
from tests.support.embedders import HashedWordsEmbedder
from tests.support.messages import chat, traced
from tests.support.proxying import proxied
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


@pytest.mark.slow
async def test_a_forgotten_conversation_is_gone_for_a_thin_client_of_a_running_proxy(tmp_path):
    url = f"sqlite:///{tmp_path}/store.sqlite"
    thin = {"x-isocost-conversation": "mine", "x-isocost-mode": "passthrough"}
    async with proxied(demo_model(), store=url) as pair:
        await pair.chat([{"role": "user", "content": "My boat is called Halcyon."}], headers=thin)
        answer = await pair.chat([{"role": "user", "content": "What is my boat called?"}], headers=thin)
        assert len(pair.forwarded()) == 3
        command = [str(Path(sys.executable).with_name("isocost")), "forget", answer.headers["x-isocost-conversation"]]
        for status in (0, 1):
            found = await asyncio.to_thread(subprocess.run, [*command, "--store", url], timeout=60, check=False)
            assert found.returncode == status
        await pair.chat([{"role": "user", "content": "Hello again."}], headers=thin)
        assert pair.forwarded() == [{"role": "user", "content": "Hello again."}]
