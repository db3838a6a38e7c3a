"""A memory on a store, a conversation with facts in it, and what tests do with both."""

from embedders import Embedder
from memory_core.state import Capacities
from memory_core.stores import Store
from proxy.assemble import Quote
from proxy.leaning import Leaning
from proxy.lineage import Lineage
from proxy.recollection import Recollection
from proxy.remember import Remember
from tests.support.embedders import HashedWordsEmbedder
from tests.support.messages import said

FACTS = ["My cat is named Zorbas.", "I work at Initech in Utrecht.", "The door code is 7431.", "Anna moved to Lisbon."]
TALK = [text for fact in FACTS for text in (fact, "Noted, I will keep it in mind.")]
TALK += [text for number in range(30) for text in (f"Tell me about topic {number}.", f"Topic {number} is quite dull.")]
QUESTION = "What is the door code?"
CODE_TURN = 5  # from 1


def remembering(
    store: Store,
    embedder: Embedder | None = None,
    cache_bytes_max: int = 10**9,
    *,
    leaning: Leaning = Leaning(),  # noqa: B008 -- frozen
    capacities: Capacities = Capacities(),  # noqa: B008 -- frozen
) -> Remember:
    """A newcomer to the store."""
    return Remember(
        store,
        embedder or HashedWordsEmbedder(),
        count=lambda message: len(message.text),
        capacities=capacities,
        cache_bytes_max=cache_bytes_max,
        leaning=leaning,
    )


async def learn(remember: Remember, lineage: Lineage, answer: str | None = None, at: float = 1.0) -> int:
    """As the learner does: again until it is done. Returns how many steps it took."""
    for step in range(1, 1000):
        if await remember.learn(lineage, [said("assistant", answer)] if answer else [], at):
            return step
    raise AssertionError("learning does not end")


async def recollect(
    remember: Remember,
    lineage: Lineage,
    *,
    cut: int | None = None,
    asked: int | None = None,
    with_block: bool = True,
) -> Recollection:
    """For the turn at `asked` (from 0), else the last one, with all before it or the first `cut` turns cut."""
    place = lineage.length - 1 if asked is None else asked
    question = await remember.question(lineage, await remember.embed(lineage, place))
    return await remember.recollect(lineage, question, cut=place if cut is None else cut, with_block=with_block)


def recalled(found: Recollection) -> tuple[Quote, ...]:
    """All quotations, best first, for a large budget."""
    return tuple(found.quotes(4_000))


def same(left: Recollection, right: Recollection) -> bool:
    """Recollections are equal to the last bit."""
    return (left.block, recalled(left), repr(left.report)) == (right.block, recalled(right), repr(right.report))
