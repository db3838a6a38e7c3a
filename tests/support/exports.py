"""Small exports of a memory, whole and sound."""

from memory_core.index import quantise
from memory_core.snapshot import KeptMemory, MemoryExport
from tests.support.memories import Turn, folded, unit

D = 8
EMBEDDER = "minilm@1"


def export_of(*texts: str, dimension: int = D) -> MemoryExport:
    """One memory a text, each with a source and a confidence; a literal and an entry that repeat the first text."""
    rows = quantise(unit(0, len(texts), dimension))
    state, _ = folded([Turn((text,), rows[n : n + 1]) for n, text in enumerate(texts)], dimension)
    memories = tuple(
        KeptMemory(turn, 0, "user", text, row, float(turn), {"source": f"from {text}", "confidence": 0.5, "sure": True})
        for turn, (text, row) in enumerate(zip(texts, rows, strict=True), start=1)
    )
    return MemoryExport(EMBEDDER, dimension, state, memories, ((1, texts[0]),), ((2, 0.5, texts[0]),))


SMALL = export_of("miso", "tofu")
