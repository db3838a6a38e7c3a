"""memory_core without the proxy: fold a conversation, watch the state, ask what was said about something.

    python examples/memory_core_alone.py

Uses the built-in model; no network, no store, no language model.
"""

import asyncio

from embedders import Embedder, open_embedder
from memory_core.chunking import chunks
from memory_core.codec import decode_state, encode_state
from memory_core.index import MemoryIndex, quantise
from memory_core.recall import rank
from memory_core.state import MemoryState
from memory_core.update import update

CONVERSATION = [
    ("user", "We adopted two cats last week, a grey one called Miso and a ginger one called Tofu."),
    ("assistant", "Congratulations! Keep them in one room for the first days, so that they settle."),
    ("user", "Miso hides under the sofa all day. Is that normal for a shy cat?"),
    ("assistant", "Yes. Sit nearby, read aloud, and let her come to you."),
    ("user", "Something else: I have to book a flight to Lisbon for the conference in May."),
    ("assistant", "Mornings are cheapest in midweek; compare two airports."),
    ("user", "My budget for the flight is 240 euros, and I only take hand luggage."),
    ("assistant", "Then set a price alert at 220 and travel on a Tuesday."),
    ("user", "Back to the cats: Tofu is allergic to chicken, says the vet."),
    ("assistant", "Look for food with a single protein, fish for example."),
]
QUESTIONS = ["Which of our cats has an allergy?", "How much may I spend on the trip to Portugal?", "And the grey one?"]


async def main() -> None:
    embedder = await open_embedder(
        "builtin",
        threads=1,
        batch_tokens_max=8_192,
        queue_tokens_max=65_536,
        cache_bytes_max=2**20,
        timeout_s=30.0,
    )
    try:
        await converse(embedder)
    finally:
        await embedder.aclose()


async def converse(embedder: Embedder) -> None:
    index, state = MemoryIndex(embedder.dimension), MemoryState.empty(embedder.dimension)
    print("turn  similarity  beta  novelty  switch  phase")
    for turn, (role, text) in enumerate(CONVERSATION, start=1):
        pieces = chunks(text)
        index.append(quantise(await embedder.embed(pieces)), pieces)
        state, report = update(state, index.turn_vector(turn), index.information(turn), is_input=role == "user")
        if role == "user":
            print(
                f"{turn:4}  {report.similarity:10.2f}  {report.beta:4.2f}  {report.novelty_score:7.2f}"
                f"  {report.topic_switch:6.2f}  {report.phase}"
            )

    stored = encode_state(state, embedder.name)
    state = decode_state(stored, embedder.name)
    print(f"\nthe state: {len(stored):,} bytes, checked on the way back in")

    for question in QUESTIONS:
        [vector] = await embedder.embed([question])
        print(f"\n{question}")
        for memory in rank(index, state, question, vector, turns=index.turns, limit=2):
            role, text = CONVERSATION[memory.turn - 1]
            print(f"  {memory.score:.2f}  turn {memory.turn}, {role}: {text}")


if __name__ == "__main__":
    asyncio.run(main())
