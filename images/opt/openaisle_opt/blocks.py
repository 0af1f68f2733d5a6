"""Who holds which block of the KV cache, and which blocks hold a prefix that can be used again.

Integers only. A block is free (nobody holds it), or held by one or more sequences. A full block is
known by the hash of all tokens from the beginning to its end, so equal prefixes find each other. A
free block keeps its contents until it is handed out again, the least recently used first.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence

ROOT_HASH = b""


def hash_block(parent_hash: bytes, token_ids: Sequence[int]) -> bytes:
    """Name of a full block: its tokens and everything before them.

    A cryptographic hash, since a collision would show one user's text to another.
    """
    return hashlib.blake2b(parent_hash + array("q", token_ids).tobytes(), digest_size=16).digest()


class BlockPool:
    """The blocks of one KV cache."""

    def __init__(self, num_blocks: int, block_size: int):
        self.num_blocks = num_blocks
        self.block_size = block_size
        self._ref_counts = [0] * num_blocks
        self._hashes: list[bytes | None] = [None] * num_blocks
        self._hash_to_block_id: dict[bytes, int] = {}
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(num_blocks))
        """Free blocks, the next to be handed out first."""

    @property
    def num_free(self) -> int:
        return len(self._free)

    def num_blocks_for(self, num_tokens: int) -> int:
        """Blocks that hold `num_tokens` tokens."""
        return -(-num_tokens // self.block_size)

    def is_shared(self, block_id: int) -> bool:
        return self._ref_counts[block_id] > 1

    def is_free(self, block_id: int) -> bool:
        return self._ref_counts[block_id] == 0

    def find(self, hashes: Iterable[bytes]) -> list[int]:
        """The blocks of the longest known prefix. They may be free: `hold` them before anything else."""
        found = []
        for block_hash in hashes:
            block_id = self._hash_to_block_id.get(block_hash)
            if block_id is None:
                break
            found.append(block_id)
        return found

    def hold(self, block_ids: Iterable[int]) -> None:
        """Take part in blocks that exist: found by their hash, or held by another sequence."""
        for block_id in block_ids:
            if self._ref_counts[block_id] == 0:
                del self._free[block_id]
            self._ref_counts[block_id] += 1

    def allocate(self) -> int:
        """A block with nothing in it. There must be a free one."""
        block_id, _ = self._free.popitem(last=False)
        block_hash = self._hashes[block_id]
        if block_hash is not None:
            del self._hash_to_block_id[block_hash]
            self._hashes[block_id] = None
        self._ref_counts[block_id] = 1
        return block_id

    def release(self, block_ids: Iterable[int]) -> None:
        """Let go of the blocks of a sequence, given from its beginning to its end."""
        for block_id in reversed(list(block_ids)):  # the end of a prefix is forgotten before its beginning
            self._ref_counts[block_id] -= 1
            assert self._ref_counts[block_id] >= 0, f"block {block_id} was released twice"
            if self._ref_counts[block_id] == 0:
                self._free[block_id] = None
                if self._hashes[block_id] is None:  # nothing to find in it again: hand it out first
                    self._free.move_to_end(block_id, last=False)

    def remember(self, block_id: int, block_hash: bytes) -> None:
        """Let `find` know a full block whose keys and values have been computed."""
        if self._hashes[block_id] is None and block_hash not in self._hash_to_block_id:
            self._hashes[block_id] = block_hash
            self._hash_to_block_id[block_hash] = block_id
