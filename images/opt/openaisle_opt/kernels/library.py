"""Where the built kernels lie, under a name that changes with what they are built from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

PACKAGE = Path(__file__).parent
SOURCES = PACKAGE / "cpp"

COMMON_FLAGS = [
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=fast",
    "-Wall",
    "-Wno-psabi",
]
AVX2_FLAGS = ["-mavx2", "-mfma", "-mf16c", "-DISA=avx2", "-DWIDTH=8"]
AVX512_FLAGS = ["-mavx512f", "-mfma", "-mf16c", "-DISA=avx512", "-DWIDTH=16"]
AVX512_BF16_FLAGS = [
    "-mavx512f",
    "-mavx512bf16",
    "-mfma",
    "-mf16c",
    "-DISA=avx512bf16",
    "-DWIDTH=16",
    "-DPAIRS",
]

# Each file with its flags; what differs in them is the set of instructions. Which one runs is
# decided when it runs, so a library that was built on one machine works on any other.
UNITS: list[tuple[str, list[str]]] = [
    ("linear_kernel.cpp", AVX2_FLAGS),
    ("linear_kernel.cpp", AVX512_FLAGS),
    ("linear_kernel.cpp", AVX512_BF16_FLAGS),
    ("attention_kernel.cpp", AVX2_FLAGS),
    ("norm_kernel.cpp", AVX2_FLAGS),
    ("layer.cpp", []),
    ("pool.cpp", []),
    ("ops.cpp", ["-DTORCH_TARGET_VERSION=0x020a000000000000"]),
]


def library_path() -> Path:
    """The library for these sources, these flags and this torch, whether it exists or not."""
    digest = hashlib.sha256(repr((COMMON_FLAGS, UNITS, torch.__version__)).encode())
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.read_bytes())
    return PACKAGE / f"_C.{digest.hexdigest()[:16]}.so"
