"""Is this embedder fit to be used? Asked once at start, because a broken one would only remember badly."""

import numpy as np

from embedders import Embedder, EmbedderError

_PAIR = (
    "The cat sleeps on the warm kitchen floor.",
    "A cat is asleep on the floor of the warm kitchen.",
)
_UNRELATED = "Interest rates rose again in the third quarter."
# Cosine. The built-in model shows .92 for the pair and -.02 for the other; models whose cosines all lie close
# together must pass too, random or constant vectors must not.
MARGIN = 0.05


async def self_test(embedder: Embedder) -> None:
    """Raise EmbedderError, with what to do, unless the vectors of `embedder` make sense."""
    vectors = await embedder.embed([*_PAIR, _UNRELATED])
    if vectors.shape != (3, embedder.dimension):
        raise _unfit(embedder, f"answers {vectors.shape} for 3 texts of dimension {embedder.dimension}")
    if not np.isfinite(vectors).all():
        raise _unfit(embedder, "answers numbers that are not finite")
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3):
        raise _unfit(embedder, "answers vectors that are not of unit length")
    related, unrelated = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    if related < unrelated + MARGIN:
        raise _unfit(
            embedder,
            f"finds two sentences about a cat ({related:.2f}) hardly closer than a cat and interest rates "
            f"({unrelated:.2f})",
        )


def _unfit(embedder: Embedder, what: str) -> EmbedderError:
    return EmbedderError(
        f"the embedder {embedder.name} {what}: its weights, tokenizer or pooling are wrong; reinstall it, or "
        "use `builtin`"
    )
