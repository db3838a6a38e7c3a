"""`isocost demo`, as its users start it: every planted fact is there when it is asked for."""

import pytest

from tests.support.proxying import run_isocost


@pytest.mark.slow
async def test_every_planted_fact_is_found(tmp_path):
    status, printed, errors = await run_isocost(tmp_path, "demo", COLUMNS="120")
    assert status == 0, printed + errors
    assert "facts in the prompt at their question: 16/16" in printed
    full, sent = counted(printed, 120)
    assert sent < full / 4
    assert sent < 1.5 * counted(printed, 60)[1]
    assert not errors
    assert not list(tmp_path.rglob("*.sqlite*"))


def counted(printed: str, turn: int) -> tuple[int, int]:
    """Full and sent tokens of a turn, from the summary."""
    (line,) = [line for line in printed.splitlines() if line.startswith(f"turn {turn:>3}: full")]
    full, sent = (int(word.replace(",", "")) for word in line.split() if word[0].isdigit() and not word.endswith(":"))
    return full, sent
