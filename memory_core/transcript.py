"""The transcript and its digest chain: what makes "the same conversation so far" one comparison.

Each digest covers the tenant, the explicit conversation id if there is one, and every turn up to its own, so two
transcripts that share digest n share all turns 1..n. An edit, a regenerate or a fork is a shorter known prefix.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import msgspec

DIGEST_BYTES = 16
"""128 bits: collisions within one tenant's conversations are out of reach, and a log entry stays small."""


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One message of a transcript.

    `text` is what memory reads, `message` the client's own JSON bytes, `fingerprint` the digest of what the message
    says whatever its formatting, `digest` the link of the chain that ends here. A struct, not a dataclass: a request of
    ten thousand makes them all anew, and this takes a tenth of the time.
    """

    role: str
    text: str
    message: bytes
    fingerprint: bytes
    digest: bytes


def digest_of(*parts: bytes) -> bytes:
    """blake2b-128 over length-prefixed parts, so that ("ab", "c") and ("a", "bc") differ."""
    hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little"))
        hashed.update(part)
    return hashed.digest()


@lru_cache(maxsize=1_024)
def root_digest(tenant: bytes, conversation: str = "") -> bytes:
    """Where a chain starts: the tenant, and the explicit conversation id if the client gave one."""
    return digest_of(b"isocost root", tenant, conversation.encode("utf-8", "surrogatepass"))


def chain(root: bytes, fingerprints: Iterable[bytes]) -> list[bytes]:
    """The digests of the turns with these fingerprints, each covering `root` and all before it."""
    digests = []
    link = root
    for fingerprint in fingerprints:
        link = _link(link, fingerprint)
        digests.append(link)
    return digests


@lru_cache(maxsize=32_768)
def _link(before: bytes, fingerprint: bytes) -> bytes:
    """Kept, some 8 MB in all, because a resent history is linked anew with each request: looked up in a third of the
    time that the hash takes."""
    return hashlib.blake2b(before + fingerprint, digest_size=DIGEST_BYTES).digest()


def common_prefix(left: Sequence[bytes], right: Sequence[bytes]) -> int:
    """How many leading digests two chains share, in O(log n): equal digests mean equal prefixes."""
    return longest_prefix(min(len(left), len(right)), lambda n: left[n - 1] == right[n - 1])


def longest_prefix(longest: int, holds: Callable[[int], bool]) -> int:
    """The largest n in 0..longest for which `holds(n)`, where holding for n implies holding for all smaller.

    From the end on in growing steps, because nearly every request extends what is known, or replaces its end.
    """
    low, high, step = longest, longest, 1
    while low > 0 and not holds(low):
        high = low - 1
        low = max(0, low - step)
        step *= 2
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
