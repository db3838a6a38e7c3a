"""Shadow and hold-out: the client's own bytes go upstream; the ledger says what would have gone, and what it saves."""

import pytest

from memory_core.stores import Store, open_store
from proxy.app import Given
from proxy.ledger import Row, decode_row
from tests.support.embedders import HashedWordsEmbedder
from tests.support.proxying import COMPACT, LONG, proxied
from tests.support.upstreams import answers

MONEY = {"model": "gpt-4o"}
PATIENT = {"memory_timeout_s": 60.0}


async def rows_of(store: Store) -> list[Row]:
    (listed,) = await store.conversations(9)
    return [decode_row(row) for row in await store.rows(listed.conversation, 9)]


async def sent(**settings: object) -> tuple[str, bool, list[Row], Store]:
    """The long chat in `auto`, twice: the mode, whether the client's bytes went, the ledger, the store."""
    store = await open_store("memory://")
    async with proxied(
        answers(), given=Given(embedder=HashedWordsEmbedder(), store=store), **PATIENT, **settings
    ) as pair:
        for _ in range(2):
            response = await pair.chat(LONG, **MONEY)
        await pair.until_learned(2)
        unchanged = pair.recorder.body == response.request.content
        rows, totals = await rows_of(store), await store.totals("model", 9)
        assert [total.name for total in totals] == ["gpt-4o"]
        assert totals[0].amounts["requests"] == 2
        assert totals[0].amounts["paid"] == pytest.approx(sum(row.paid for row in rows))
        assert totals[0].amounts["saved"] == pytest.approx(sum(row.rival - row.paid for row in rows))
        return response.headers["x-isocost-mode"], unchanged, rows, store


async def test_live_the_ledger_has_what_it_cost_beside_cached_full_history():
    mode, unchanged, (first, second), _ = await sent()
    assert (mode, unchanged) == ("compact", False)
    assert (first.why, second.why, first.share, first.error) == ("break-even", "", "", "")
    assert first.cut > 0
    assert first.paid < first.rival  # both caches were cold: less is sent
    assert second.cached_tokens > 0
    assert (second.unit, second.input) == ("USD", 2.5)
    assert second.sent_tokens == second.cached_tokens + second.written_tokens + second.fresh_tokens


async def test_in_shadow_the_bytes_are_the_clients_and_the_plan_is_priced():
    mode, unchanged, rows, _ = await sent(shadow_share=1.0)
    assert (mode, unchanged) == ("passthrough", True)
    for row in rows:
        assert (row.share, row.paid) == ("shadow", row.rival)
        assert 0 < row.planned_tokens < row.full_tokens == row.sent_tokens
    assert rows[0].planned < rows[0].paid


async def test_held_out_nothing_is_planned():
    mode, unchanged, rows, _ = await sent(holdout_share=1.0)
    assert (mode, unchanged) == ("passthrough", True)
    assert {(row.share, row.planned_tokens, row.planned) for row in rows} == {("holdout", 0, 0.0)}


async def test_who_asks_for_compact_gets_it():
    store = await open_store("memory://")
    given = Given(embedder=HashedWordsEmbedder(), store=store)
    async with proxied(answers(), given=given, **PATIENT, shadow_share=0.5, holdout_share=0.5) as pair:
        response = await pair.chat(LONG, headers=COMPACT)
        assert response.headers["x-isocost-mode"] == "compact"
