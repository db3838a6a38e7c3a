"""The learner: one writer, a bounded queue, and no failure that ends it."""

import asyncio

import pytest

from proxy.exchange import Exchange
from proxy.ledger import decode_row
from proxy.remember import LEARNED_TURNS_MAX
from tests.support.learner import Bench, exchange, soon
from tests.support.messages import chat, traced

pytest_plugins = ["tests.support.learner"]


async def test_what_is_offered_is_learned_and_written_in_the_ledger(bench):
    offered = exchange("a")
    async with bench.running():
        assert await soon(bench.learner.offer(offered)) is True
    digests = traced(chat("a", "fine")).digests
    assert await bench.store.known(offered.conversation, digests) == [True, True]
    assert [decode_row(row) for row in await bench.store.rows(offered.conversation, 9)] == [offered.row]
    assert (bench.counted("learned"), bench.queued) == (1, 0)


async def test_an_exchange_without_a_transcript_is_a_row_only(bench):
    whole = exchange("a")
    async with bench.running():
        assert await soon(bench.learner.offer(Exchange(whole.conversation, None, (), whole.row)))
    assert len(await bench.store.rows(whole.conversation, 9)) == 1
    assert await bench.store.load(whole.conversation) is None


async def test_a_full_queue_drops_and_counts_and_never_waits(bench):
    bench = Bench(bench.store, queue_max=2)
    offered = [bench.learner.offer(exchange(f"turn {number}")) for number in range(5)]
    assert not any(future.done() for future in offered)
    assert (bench.counted("dropped"), bench.queued) == (3, 2)
    async with bench.running():
        assert [await soon(future) for future in offered] == [True, True, False, False, False]
    assert bench.queued == 0


@pytest.mark.parametrize("failing", ["known", "save", "record"])
async def test_a_failing_store_is_counted_and_the_learner_goes_on(bench, failing):
    async with bench.running():
        bench.store.failing = {failing}
        assert await soon(bench.learner.offer(exchange("a"))) is False
        bench.store.failing = set()
        assert await soon(bench.learner.offer(exchange("a", "fine", "b"))) is True
    lost = "unrecorded" if failing == "record" else "failed"
    assert (bench.counted(lost), bench.counted("learned")) == (1, 2 if failing == "record" else 1)
    lineage = traced(chat("a", "fine", "b", "fine"))
    assert all(await bench.store.known(lineage.conversation, lineage.digests))


async def test_a_failing_embedder_is_counted_and_the_learner_goes_on(bench):
    bench.embedder.poison = frozenset(["bad"])
    async with bench.running():
        assert await soon(bench.learner.offer(exchange("bad"))) is False
        assert await soon(bench.learner.offer(exchange("good"))) is True
    assert (bench.counted("failed"), bench.counted("learned")) == (1, 1)


async def test_a_bug_is_logged_with_its_trace_and_the_learner_goes_on(bench, caplog):
    odd = exchange("secret words")
    broken = Exchange(odd.conversation, odd.lineage, odd.answer, None)  # no row: an AttributeError deep inside
    async with bench.running():
        assert await soon(bench.learner.offer(broken)) is False
        assert await soon(bench.learner.offer(exchange("good"))) is True
    assert bench.counted("failed") == 1
    assert "Traceback" in caplog.text
    assert "secret words" not in caplog.text


async def test_a_long_import_lets_others_in_between(bench):
    long = exchange(*(f"turn {number}" for number in range(5 * LEARNED_TURNS_MAX)), answer=None)
    async with bench.running():
        slow, quick = bench.learner.offer(long), bench.learner.offer(exchange("quick"))
        await soon(quick)
        assert not slow.done()
        assert await soon(slow)
    assert all(await bench.store.known(long.conversation, long.lineage.digests))
    assert (bench.counted("learned"), bench.queued) == (2, 0)


async def test_a_long_import_beside_a_full_queue_is_learned_all_the_same(bench):
    bench = Bench(bench.store, queue_max=1)
    long = exchange(*(f"turn {number}" for number in range(5 * LEARNED_TURNS_MAX)), answer=None)
    bench.embedder.gate.clear()
    async with bench.running():
        slow = bench.learner.offer(long)
        await asyncio.wait_for(bench.embedder.started.wait(), 5)
        waiting = bench.learner.offer(exchange("waiting"))
        bench.embedder.gate.set()
        assert await soon(slow)
        assert await soon(waiting)
        assert await bench.learner.drain(5) == 0


# --- the end


async def test_draining_waits_for_all_and_says_that_none_is_left(bench):
    async with bench.running():
        for number in range(10):
            bench.learner.offer(exchange(f"turn {number}"))
        assert await bench.learner.drain(5) == 0
        assert bench.counted("learned") == 10
        assert await bench.learner.drain(0) == 0


async def test_draining_is_bounded_and_counts_the_one_that_hangs(bench):
    bench.embedder.gate.clear()
    async with bench.running():
        hanging, waiting = (bench.learner.offer(exchange(text)) for text in "ab")
        await asyncio.wait_for(bench.embedder.started.wait(), 5)
        assert await asyncio.wait_for(bench.learner.drain(0.05), 5) == 2
    assert (hanging.result(), waiting.result()) == (False, False)


async def test_draining_a_learner_that_does_not_run_is_bounded_too(bench):
    bench.learner.offer(exchange("a"))
    assert await asyncio.wait_for(bench.learner.drain(0.05), 5) == 1


async def test_rows_of_what_was_dropped_are_written_all_the_same(bench):
    bench = Bench(bench.store, queue_max=2)
    offered = [exchange(f"turn {number}", turn=number) for number in range(5)]
    futures = [bench.learner.offer(each) for each in offered]
    async with bench.running():
        assert [await soon(future) for future in futures] == [True, True, False, False, False]
    for each in offered:
        assert [decode_row(row) for row in await bench.store.rows(each.conversation, 9)] == [each.row]
    assert (bench.counted("dropped"), bench.counted("learned")) == (3, 2)


async def test_rows_that_wait_together_are_one_write_in_the_order_of_their_arrival(bench):
    offered = [exchange("a", answer=f"answer {number}", turn=number) for number in range(9)]
    futures = [bench.learner.offer(each) for each in offered]
    async with bench.running():
        assert all([await soon(future) for future in futures])
    assert [decode_row(row).turn for row in await bench.store.rows(offered[0].conversation, 99)] == list(range(9))
    assert bench.store.calls.count("record") == 1


async def test_a_row_is_written_of_what_cannot_be_learned(bench):
    """It was sent and paid."""
    bench.embedder.poison = frozenset(["bad"])
    offered = exchange("bad")
    async with bench.running():
        assert await soon(bench.learner.offer(offered)) is False
    assert [decode_row(row) for row in await bench.store.rows(offered.conversation, 9)] == [offered.row]


async def test_the_same_exchange_again_is_not_learned_again_but_another_answer_is(bench):
    async with bench.running():
        for _ in range(3):
            assert await soon(bench.learner.offer(exchange("a")))
        assert bench.store.calls.count("save") == 1
        assert await soon(bench.learner.offer(exchange("a", answer="another")))
    assert bench.store.calls.count("save") == 2
    forked = traced(chat("a", "another"))
    assert await bench.store.known(forked.conversation, forked.digests) == [True, True]
    assert len(await bench.store.rows(forked.conversation, 9)) == 4


async def test_what_failed_once_is_tried_again(bench):
    async with bench.running():
        bench.store.failing = {"save"}
        assert await soon(bench.learner.offer(exchange("a"))) is False
        bench.store.failing = set()
        assert await soon(bench.learner.offer(exchange("a")))
    lineage = traced(chat("a", "fine"))
    assert all(await bench.store.known(lineage.conversation, lineage.digests))


async def test_of_one_conversation_the_newest_transcript_is_enough(bench):
    """What waits of it is in what comes after, so that a backlog holds each conversation once."""
    texts = [f"turn {number}" for number in range(9)]
    whole = [exchange(*texts[: 2 * n + 1], answer=texts[2 * n + 1], turn=n) for n in range(4)]
    others = [exchange(*texts[:3], answer=answer, turn=9) for answer in ("another", "a third")]
    futures = [bench.learner.offer(each) for each in (*whole, *others)]
    assert bench.queued == 3
    async with bench.running():
        assert all([await soon(future) for future in futures])
    assert bench.counted("learned") == 6
    for said_ in (texts[:8], [*texts[:3], "another"], [*texts[:3], "a third"]):
        lineage = traced(chat(*said_))
        assert all(await bench.store.known(lineage.conversation, lineage.digests))
    assert len(await bench.store.rows(whole[0].conversation, 99)) == 6
    assert (bench.store.calls.count("append"), bench.store.calls.count("save")) == (1, 1)  # only the newest is folded


async def test_a_request_does_not_wait_while_the_learner_embeds(bench):
    """The learner's texts may take long on a busy machine; until then nothing of the conversation is locked."""
    bench.embedder.gate.clear()
    async with bench.running():
        offered = exchange("a")
        learned = bench.learner.offer(offered)
        await asyncio.wait_for(bench.embedder.started.wait(), 5)
        asks = bench.remember.attach(offered.lineage, offered.conversation, b"nobody's" * 2, at_least=1)
        assert await asyncio.wait_for(asks, 1) is None
        assert not learned.done()
        bench.embedder.gate.set()
        assert await soon(learned)


async def test_nobody_waits_for_one_whose_texts_take_long(bench):
    """A long import on a busy machine: what others said meanwhile is learned, and its own in order after it."""
    bench.embedder.gate.clear()
    async with bench.running():
        slow = bench.learner.offer(exchange("a long import"))
        await asyncio.wait_for(bench.embedder.started.wait(), 5)
        first_gate, bench.embedder.gate = bench.embedder.gate, asyncio.Event()  # the next calls wait at another one
        bench.embedder.gate.set()
        others = [
            bench.learner.offer(exchange(f"other {number}")) for number in range(90)
        ]  # more than are under way at once
        assert all([await soon(future) for future in others])
        later = [
            bench.learner.offer(exchange("a long import", "fine", "more")),
            bench.learner.offer(exchange("a long import", "fine", "else")),
        ]
        await asyncio.sleep(0.2)
        assert not any(future.done() for future in (slow, *later))
        first_gate.set()
        assert all([await soon(future) for future in (slow, *later)])
    assert bench.counted("learned") == 93
    for said_ in (["a long import", "fine", "more", "fine"], ["a long import", "fine", "else", "fine"]):
        lineage = traced(chat(*said_))
        assert all(await bench.store.known(lineage.conversation, lineage.digests))
