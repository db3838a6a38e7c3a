"""Does the self-test tell a broken embedder from a good one?"""

from collections.abc import Callable

import numpy as np
import pytest

from embedders import EmbedderError, Vectors
from embedders.selftest import self_test
from tests.support.embedders import HashedWordsEmbedder


class Spoiled(HashedWordsEmbedder):
    def __init__(self, spoil: Callable[[Vectors], Vectors]) -> None:
        super().__init__()
        self._spoil = spoil

    async def embed(self, texts: list[str]) -> Vectors:
        return self._spoil(await super().embed(texts))


def constant(vectors: Vectors) -> Vectors:
    return np.repeat(vectors[:1], len(vectors), axis=0)


async def test_a_sound_embedder_passes() -> None:
    await self_test(Spoiled(lambda vectors: vectors))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda vectors: vectors[:, :10], r"answers \(3, 10\) for 3 texts of dimension 64"),
        (lambda vectors: vectors[:2], r"answers \(2, 64\)"),
        (lambda vectors: vectors * np.float32("nan"), "not finite"),
        (lambda vectors: vectors * np.float32(2.0), "not of unit length"),
        (constant, "hardly closer"),
        (lambda vectors: vectors[[0, 2, 1]], "hardly closer"),
    ],
)
async def test_a_broken_one_is_named_with_what_to_do(spoil: Callable[[Vectors], Vectors], sentence: str) -> None:
    with pytest.raises(EmbedderError, match=sentence) as caught:
        await self_test(Spoiled(spoil))
    assert "hashed-words@64" in str(caught.value)
    assert "reinstall" in str(caught.value)
