"""Each epoch's bytes are written once and used by every branch and replica, after a restart too."""

import asyncio
from dataclasses import replace

import pytest

from memory_core.stores import Entry, StoreError, open_store
from proxy.epochs import NOTED_MAX, Epoch, Epochs, lane_of
from tests.support.messages import chat, said, traced
from tests.support.stores import FailingStore, ForgetfulStore, WrappedStore

pytest_plugins = ["tests.support.store_places"]

LANE = lane_of("m", 900, "message")
TURNS = chat(*(f"turn {place}" for place in range(61)))
LINEAGE = traced(TURNS)


def epoch(number, cut, block="What was said.", lineage=LINEAGE):
    return Epoch(number, cut, f"{block} {cut}", 30, "budget", lineage.length)


async def in_force(epochs, lineage=LINEAGE, asked=None, lane=LANE):
    return await epochs.in_force(lineage, lineage.length - 1 if asked is None else asked, lane)


@pytest.fixture
async def replicas(open_again, store_url):
    """Two, each with what it remembers itself."""
    stores = [await open_again() for _ in range(1 if store_url == "memory://" else 2)]
    return Epochs(stores[0]), Epochs(stores[-1])


async def test_an_epoch_comes_back_as_it_began(replicas):
    begun = Epoch(3, 20, "<memory>\nJörg's \x00 🦩?</memory>", 2**40, "cold", 61, 1_700_000_000.25)
    assert await in_force(replicas[0]) is None
    assert await replicas[0].begin(LINEAGE, LANE, begun) == begun
    assert [await in_force(each) for each in replicas] == [begun, begun]


async def test_two_replicas_that_begin_one_epoch_at_once_use_the_same_bytes(replicas):
    for cut in (10, 20, 30):
        began = await asyncio.gather(
            *(each.begin(LINEAGE, LANE, epoch(1, cut, f"replica {n}")) for n, each in enumerate(replicas))
        )
        assert began[0] == began[1]
        assert began[0].block in (f"replica 0 {cut}", f"replica 1 {cut}")
        assert [await in_force(each) for each in replicas] == began


async def test_what_one_replica_began_the_other_goes_on_with(replicas):
    for number, cut in enumerate(range(4, 60, 6), start=1):
        here, there = replicas[:: 1 if number % 2 else -1]
        began = await here.begin(LINEAGE, LANE, epoch(number, cut))
        assert await in_force(there) == began
        again = await there.begin(LINEAGE, LANE, epoch(number, cut, "too late"))
        assert again == began
        await here.begin(LINEAGE, LANE, epoch(number, cut))  # as often as one likes: it takes the room of one
    assert (await in_force(replicas[1], asked=60 - 6 * (NOTED_MAX - 1))).cut == 58 - 6 * (NOTED_MAX - 1)


async def test_the_latest_on_the_transcript_up_to_the_question_is_in_force(replicas):
    epochs, _ = replicas
    for number, cut in enumerate((10, 20, 30), start=1):
        await epochs.begin(LINEAGE, LANE, epoch(number, cut))
    found = [await in_force(epochs, asked=asked) for asked in (8, 10, 19, 20, 29, 30, 60)]
    assert [each and each.cut for each in found] == [None, 10, 10, 20, 20, 30, 30]
    shorter = [await in_force(epochs, traced(TURNS[:length])) for length in (9, 11, 21, 29, 31)]
    assert [each and each.cut for each in shorter] == [None, 10, 20, 20, 30]
    grown = traced([*TURNS, *chat("more", "and", "more")[1:]])
    assert (await in_force(epochs, grown)).cut == 30


async def test_a_fork_keeps_what_was_begun_before_it_and_goes_its_own_way_after(replicas):
    epochs, other = replicas
    fork = traced([*TURNS[:24], *chat("else", "then", "so", "it", "goes", "on", "and", "on", "here")])
    assert fork.conversation == LINEAGE.conversation
    for number, cut in enumerate((10, 20, 30), start=1):
        await epochs.begin(LINEAGE, LANE, epoch(number, cut))
    assert (await in_force(epochs, fork)).cut == 20
    mine = await other.begin(fork, LANE, epoch(3, 30, "on the fork"))
    assert mine.block == "on the fork 30"
    for each in replicas:
        assert (await in_force(each, fork)) == mine
        assert (await in_force(each)).block == "What was said. 30"
    edited = traced([said("user", "turn 0"), said("assistant", "edited"), *TURNS[2:]])
    assert edited.conversation == LINEAGE.conversation
    assert await in_force(epochs, edited) is None


async def test_another_model_another_budget_and_another_conversation_have_epochs_of_their_own(replicas):
    lanes = [LANE, lane_of("n", 900, "message"), lane_of("m", 901, "message"), lane_of("m", 900, "system")]
    assert len({*lanes, lane_of("m\ud800", 900, "message")}) == 5
    assert lane_of("m", 900, "message") == LANE
    for number, lane in enumerate(lanes, start=1):
        await replicas[0].begin(LINEAGE, lane, epoch(number, 20, f"lane {number}"))
    for number, lane in enumerate(lanes, start=1):
        assert (await in_force(replicas[1], lane=lane)).block == f"lane {number} 20"
    for stranger in (traced(TURNS, tenant=b"another"), traced(TURNS, "named")):
        assert await in_force(replicas[1], stranger) is None


async def test_only_the_newest_are_named_so_that_the_note_stays_short(replicas):
    epochs, other = replicas
    for number in range(1, 31):
        await epochs.begin(LINEAGE, LANE, epoch(number, 2 * number))
    assert (await in_force(other)).number == 30
    eldest = 2 * (30 - NOTED_MAX + 1)
    assert (await in_force(other, asked=eldest)).cut == eldest
    assert await in_force(other, asked=eldest - 1) is None


# --- what it costs


class WeighingStore(WrappedStore):
    """Notes how many bytes go either way."""

    def __init__(self, inner):
        super().__init__(inner)
        self.bytes = 0

    async def _pass_on(self, method, *arguments):
        result = await super()._pass_on(method, *arguments)
        self.bytes += _weight(arguments) + _weight(result)
        return result


def _weight(value):
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, Entry):
        return len(value.digest) + len(value.parent) + len(value.payload)
    return sum(map(_weight, value)) if isinstance(value, list | tuple) else 0


@pytest.fixture
async def memory():
    opened = await open_store("memory://")
    yield WeighingStore(opened)
    await opened.aclose()


async def test_turn_ten_thousand_asks_no_more_of_the_store_than_turn_forty(memory):
    long = traced(chat(*(f"turn {place}" for place in range(10_001))))
    weights = []
    for lineage in (traced(TURNS), long):
        first = lineage.length - 1 - 2 * NOTED_MAX
        for number in range(NOTED_MAX):
            begun = replace(epoch(number, first + 2 * number, lineage=lineage), block="x" * 2000)
            await Epochs(memory).begin(lineage, LANE, begun)
        for known in (Epochs(memory), Epochs(memory)):
            memory.calls.clear()
            memory.bytes = 0
            found = await in_force(known, lineage)
            await known.begin(lineage, LANE, replace(found, cut=lineage.length - 1, block="y" * 2000))
            assert (await in_force(known, lineage)).cut == lineage.length - 1
            weights.append((list(memory.calls), memory.bytes))
        assert len(memory.calls) <= 7
    assert weights[0] == weights[2]
    assert weights[1] == weights[3]


async def test_what_is_known_here_is_not_read_again(memory):
    epochs = Epochs(memory)
    await epochs.begin(LINEAGE, LANE, epoch(1, 20))
    memory.calls.clear()
    await in_force(epochs)
    assert memory.calls == ["note"]


# --- a store that fails


async def test_an_epoch_that_was_lost_is_an_error_where_it_begins_and_none_where_it_was(memory):
    with pytest.raises(StoreError, match="just begun"):
        await Epochs(ForgetfulStore(memory)).begin(LINEAGE, LANE, epoch(1, 20))
    assert await in_force(Epochs(memory)) is None
    await Epochs(memory).begin(LINEAGE, LANE, epoch(1, 20))
    note = await memory.note(LINEAGE.conversation, LANE)
    await memory.delete(LINEAGE.conversation)
    await memory.set_note(LINEAGE.conversation, LANE, note)
    assert await in_force(Epochs(memory)) is None


@pytest.mark.parametrize("note", [b"x", b"x" * 25, b'{"cut": 3}'])
async def test_a_note_that_nobody_wrote_is_an_error_of_the_store(memory, note):
    await memory.set_note(LINEAGE.conversation, LANE, note)
    with pytest.raises(StoreError):
        await in_force(Epochs(memory))


async def test_a_note_of_nothing_names_nothing(memory):
    for note in (b"", bytes(24), b"\xff" * 48):
        await memory.set_note(LINEAGE.conversation, LANE, note)
        assert await in_force(Epochs(memory)) is None


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x93\xc4\x01x\xa0\xa0", b"\x90", b"null"])
async def test_bytes_that_are_no_epoch_are_an_error_of_the_store(memory, payload):
    keys = []

    class Spy(WrappedStore):
        async def append(self, conversation, entries):
            keys.extend(entries)

    with pytest.raises(StoreError):
        await Epochs(Spy(memory)).begin(LINEAGE, LANE, epoch(1, 20))
    await memory.append(LINEAGE.conversation, [replace(keys[0], payload=payload)])
    with pytest.raises(StoreError):
        await Epochs(memory).begin(LINEAGE, LANE, epoch(1, 20))


async def test_a_store_that_is_gone_is_an_error_of_the_store(memory):
    gone = Epochs(FailingStore(memory))
    for doing in (in_force(gone), gone.begin(LINEAGE, LANE, epoch(1, 20))):
        with pytest.raises(StoreError):
            await doing
