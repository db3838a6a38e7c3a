"""Fold one turn into the entries: what each kind finds in it, merged with what was there. Pure."""

from memory_core.entries import decisions, entities, errors, invariants, results
from memory_core.entries.kinds import Entries
from memory_core.entries.sentences import prose


def add(entries: Entries, turn: int, role: str, text: str) -> Entries:
    """The entries after one more turn, or `entries` itself if it holds nothing.

    `turn` counts from 1 and rises from call to call (ValueError below 1); `role` is the message's. Users state all
    kinds; assistants decisions, fixes, test results and names; whatever else (tools) errors and test results.
    """
    if turn < 1:
        raise ValueError(f"turns count from 1, not {turn}")
    said = prose(text)
    speaks = role in ("user", "assistant")
    decided = decisions.find(said, role) if speaks else []
    ruled = invariants.find(said) if role == "user" else []
    sighted = errors.find(text, said, role)
    outcome = results.find(text, said, role)
    named = entities.find(said, role) if speaks else []
    if not (decided or ruled or sighted or outcome or named):
        return entries
    after = Entries(
        decisions=decisions.merge(entries.decisions, decided, turn),
        errors=errors.merge(entries.errors, sighted, turn),
        invariants=invariants.merge(entries.invariants, ruled, turn),
        tests=results.merge(entries.tests, outcome, turn),
        entities=entities.merge(entries.entities, named, said, turn),
    )
    return entries if after == entries else after
