"""What a store must agree to before it is used: one embedder, and the key under which tenants are hidden.

Both are pinned in the store by whoever comes first, so that all replicas on it share them and a store that was
written with another embedder is refused instead of mixed.
"""

import secrets

from memory_core.stores import Store, StoreMismatchError
from proxy.lineage import tenant_of

_KEY_BYTES = 32


class Claim:
    """Asks the store once, at start, so that a wrong store is refused before the first request."""

    def __init__(self, store: Store, embedder_name: str) -> None:
        self._store = store
        self._embedder_name = embedder_name
        self._key = b""

    async def confirm(self) -> None:
        """Raises StoreMismatchError for a store of another embedder (left as it is), StoreError if it is away."""
        if self._key:
            return
        written_by = (await self._store.pin("embedder", self._embedder_name.encode())).decode()
        if written_by != self._embedder_name:
            raise StoreMismatchError(
                f"this store was written with the embedder {written_by!r}, this isocost uses "
                f"{self._embedder_name!r}: configure that embedder, or give another --store"
            )
        self._key = await self._store.pin("tenant key", secrets.token_bytes(_KEY_BYTES))

    async def tenant(self, credential: str) -> bytes:
        """The tenant of a credential; raises as `confirm`."""
        if not self._key:
            await self.confirm()
        return tenant_of(self._key, credential)
