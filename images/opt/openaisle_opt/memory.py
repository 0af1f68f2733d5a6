"""Memory in large pieces: it takes none before it is written, and lies in huge pages where it can.

A token's time is the time to read the weights. Within pages of 4 KiB that takes a tenth longer: the
CPU looks up each page, and reads ahead no further than a page's end.
"""

from __future__ import annotations

import contextlib
import math
import mmap

import torch

GIB = 1024**3

_HUGE_PAGE_BYTES = 2 << 20
_ALIGNMENT_BYTES = 64
"""A line of the CPU's caches."""


def dtype_size(dtype: torch.dtype) -> int:
    """Bytes of an element."""
    return torch.empty(0, dtype=dtype).element_size()


def dtype_name(dtype: torch.dtype) -> str:
    """As --dtype takes it."""
    return str(dtype).removeprefix("torch.")


class Arena:
    """Memory for the tensors of a CPU that live as long as the model.

    Raises:
        OSError: the system cannot give so much.
    """

    def __init__(self, num_bytes: int):
        memory = mmap.mmap(-1, num_bytes + _HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError, AttributeError):  # a system without huge pages has small ones
            memory.madvise(mmap.MADV_HUGEPAGE)
        whole = torch.frombuffer(memory, dtype=torch.uint8)
        self._free = whole[-whole.data_ptr() % _HUGE_PAGE_BYTES :]

    @staticmethod
    def size_of(shape: tuple[int, ...], dtype: torch.dtype) -> int:
        """Bytes that a tensor takes here."""
        num_bytes = math.prod(shape) * dtype_size(dtype)
        return -(-num_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """A tensor of zeros. All that are taken must fit into the arena."""
        num_bytes = self.size_of(shape, dtype)
        assert num_bytes <= self._free.numel()
        taken, self._free = self._free[:num_bytes], self._free[num_bytes:]
        return taken.view(dtype)[: math.prod(shape)].view(shape)
