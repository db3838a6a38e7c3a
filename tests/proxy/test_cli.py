"""The commands that answer from settings, price table and store, as they are typed."""

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from memory_core.stores import Entry, LedgerEntry, Tally, Total, open_store
from proxy.cli import app
from proxy.cli_output import NAME_CHARACTERS, name
from proxy.cli_totals import totals_table
from proxy.ledger import Row, encode_row

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def isocost(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs a command and gives its status and output; no settings of the person who runs the tests are seen."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config-home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(words)
        return int(ended.value.code or 0), capsys.readouterr().out

    return run


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'isocost.sqlite'}"


def record(store: str, conversation: str, at: float, *totals: Tally) -> None:
    async def write() -> None:
        async with aclosing(await open_store(store)) as opened:
            await opened.append(conversation, [Entry(b"d" * 16, bytes(16), 1, b"payload")])
            row = Row(at=at, turn=1, model="gpt-5", mode="compact", full_tokens=100, sent_tokens=25, overhead_ms=1.25)
            row = msgspec.structs.replace(row, cached_tokens=20, paid=7, rival=10, epoch=1, why="cold", cut=4)
            await opened.record(LedgerEntry(conversation, encode_row(row), at, totals))

    asyncio.run(write())


def line(printed: str, beginning: str) -> list[str]:
    """The words of the first line that begins so."""
    return next(words for row in printed.splitlines() if (words := row.split()) and words[0] == beginning)


def test_the_row_of_a_model_with_its_figures_date_and_source(isocost: Command):
    status, printed = isocost("prices", "gpt-4o", "gpt-6.2-sol", "never-heard-of-it")
    assert status == 0
    assert (
        line(printed, "gpt-4o") == "gpt-4o OpenAI GPT-4o 2.5 USD 0.5 1 1024 128 600 prompt_cache_key 2026-05-27".split()
    )
    assert "never-heard-of-it any other model 1 input 0.1" in re.sub(" +", " ", printed)
    assert "OpenAI GPT-6.2 Sol: developers.openai.com/api/docs/models/gpt-6.2-sol" in printed
    assert "Claude" not in printed


def test_without_a_model_every_row_is_printed(isocost: Command):
    _, printed = isocost("prices")
    assert all(row in printed for row in ("vLLM", "llama.cpp", "Claude Opus 4.5, 4.6", "*claude-opus-4?[56]*"))


def test_own_rows_and_the_one_row_for_all(isocost: Command, tmp_path: Path):
    rows, settings = tmp_path / "rows.toml", tmp_path / "isocost.toml"
    rows.write_text(
        '[[price]]\nname = "mine"\npattern = "gpt-5*"\ninput = 7\nunit = "EUR"\nread = 0\nwrite = 1\n'
        "cacheable_min = 1\nstep = 1\nttl_s = 1\n"
    )
    settings.write_text(f"prices = '{rows}'")
    _, printed = isocost("prices", "gpt-5", "--config", str(settings))
    assert line(printed, "gpt-5")[1:4] == ["mine", "7", "EUR"]
    assert "never" in printed, "where reading is free no rewrite ever pays"
    settings.write_text("price_row = 'vllm'")
    _, printed = isocost("prices", "gpt-5", "--config", str(settings))
    assert line(printed, "gpt-5")[1:4] == ["vLLM", "1", "prefill"]


def test_the_dearer_the_cache_the_sooner_it_compacts(isocost: Command):
    _, printed = isocost("prices", "gpt-4o", "gpt-4.1", "gpt-5", "gpt-6.2-sol")
    chats = printed.partition("system tokens")[2]
    found = [line(chats, model)[-4:] for model in ("gpt-4o", "gpt-4.1", "gpt-5", "gpt-6.2-sol")]
    for column in (0, 2):
        exchanges = [int(cells[column]) for cells in found]
        assert exchanges == sorted(set(exchanges))
    assert all(int(cells[2]) < int(cells[0]) for cells in found), "long exchanges reach the break-even sooner"


def test_totals_of_a_store(isocost: Command, store: str):
    amounts = {
        "requests": 1,
        "full_tokens": 1000,
        "sent_tokens": 400.0,
        "paid": 500,
        "rival": 2000,
        "saved_usd": 0.0015,
    }
    record(store, "a", 1e9, Tally("model", "gpt-5", amounts), Tally("conversation", "a", amounts))
    record(store, "b", 2e9, Tally("model", "gpt-5", amounts), Tally("conversation", "b", amounts))
    status, printed = isocost("totals", "--by", "model", "--store", store)
    assert status == 0
    assert line(printed, "gpt-5") == "gpt-5 2 2,000 800 1,000 4,000 0.0030 2033-05-18 03:33".split()
    _, printed = isocost("totals", "--store", store, "--last", "1")
    assert [row.split()[0] for row in printed.splitlines()] == ["conversation", "b"]
    _, printed = isocost("totals", "--by", "tenant", "--store", store)
    assert len(printed.splitlines()) == 1


def test_a_column_for_each_amount_that_is_there_in_their_order():
    found = [
        Total("one", {"saved": 1, "zeal": 2, "rival": 3}, 0),
        Total("two", {"requests": 4, "cached_tokens": 5, "paid": 6, "ardour": 7}, 0),
    ]
    table = totals_table("model", found)
    headings = ["model", "requests", "cached", "paid", "cached full history", "saved", "ardour", "zeal", "newest (UTC)"]
    assert [column.header for column in table.columns] == headings
    assert [list(column.cells) for column in table.columns][1:4] == [["", "4"], ["", "5"], ["", "6"]]


def test_kinds_of_totals_that_there_are_none_of_are_refused(isocost: Command):
    status, _ = isocost("totals", "--by", "colour")
    assert status != 0


def test_conversations_are_listed_shown_and_forgotten(isocost: Command, store: str):
    record(store, "a", 1e9)
    assert line(isocost("conversations", "--store", store)[1], "a") == ["a", "1"]
    ledger = line(isocost("conversations", "a", "--store", store)[1], "1")
    assert ledger == "1 100 25 20 7 10 3 compact 1 cold 4 1.2 0".split()
    assert isocost("forget", "a", "--store", store)[0] == 0
    for words in (("conversations", "a"), ("forget", "a")):
        assert isocost(*words, "--store", store) == (1, "no conversation 'a' in this store\n")


@pytest.mark.parametrize("words", [(), ("serve",), ("demo",), ("handoff",), ("models", "list"), ("totals",)])
def test_help_names_every_command_and_describes_each_flag(isocost: Command, words: tuple[str, ...]):
    status, printed = isocost(*words, "--help")
    assert status == 0
    if not words:
        commands = "conversations demo forget handoff models prices serve totals"
        assert all(line(printed.replace("│", ""), command) for command in commands.split())
    if words == ("serve",):
        assert line(printed.replace("│", ""), "--port")[2:] == "port to listen on (8400)".split()


def test_a_name_moves_no_cursor_and_has_no_markup():
    assert name("[red]x[/red]").plain == "[red]x[/red]"
    assert name("a\x1b[2Jb\r\n").plain == "a\N{REPLACEMENT CHARACTER}[2Jb" + "\N{REPLACEMENT CHARACTER}" * 2
    assert len(name("x" * 10_000_000).plain) == NAME_CHARACTERS
    assert name("x" * NAME_CHARACTERS).plain == "x" * NAME_CHARACTERS
