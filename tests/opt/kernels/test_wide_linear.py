"""The AVX-512 variants of the linear kernel, run with AVX2: 16 numbers side by side in place of 8."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
import torch
from openaisle_opt.kernels.library import AVX512_BF16_FLAGS, AVX512_FLAGS, COMMON_FLAGS, SOURCES

PANEL = 32


class LinearArgs(ctypes.Structure):
    """As in linear.h."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("M", "N", "K")),
        ("x", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("groups", "stride")),
        *((name, ctypes.c_void_p) for name in ("w", "bias", "residual", "y", "next")),
        ("relu", ctypes.c_bool),
    )


@pytest.fixture(scope="module", params=[False, True], ids=["one by one", "in pairs"])
def pairs(request: pytest.FixtureRequest) -> bool:
    """Whether it is the variant for AVX512_BF16."""
    return request.param


@pytest.fixture(scope="module")
def wide(pairs: bool, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("wide") / "wide.so"
    variant = [flag for flag in (AVX512_BF16_FLAGS if pairs else AVX512_FLAGS) if flag.startswith("-D")]
    variant[variant.index("-DISA=avx512bf16" if pairs else "-DISA=avx512")] = "-DISA=wide"
    header = "namespace openaisle { struct LinearKernel; namespace wide { LinearKernel linear_kernel(); } }"
    (library.parent / "wide.h").write_text(header, encoding="utf-8")
    flags = [*COMMON_FLAGS, "-O1", "-mavx2", "-mfma", "-mf16c", *variant, f"-I{SOURCES}"]
    sources = [str(SOURCES / "linear_kernel.cpp"), str(Path(__file__).parent / "wide.cpp")]
    include = ["-include", str(library.parent / "wide.h")]
    subprocess.run(["g++", "-shared", *flags, *include, *sources, "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def packed(weight: torch.Tensor, depth: int) -> torch.Tensor:
    """A weight [N, K] in panels, as `kernels.pack_linear` makes them."""
    num_panels, num_steps = -(-weight.shape[0] // PANEL), -(-weight.shape[1] // depth)
    padded = torch.zeros(num_panels * PANEL, num_steps * depth, dtype=weight.dtype)
    padded[: weight.shape[0], : weight.shape[1]] = weight
    return padded.view(num_panels, PANEL, num_steps, depth).transpose(1, 2).contiguous()


@pytest.mark.parametrize("rows", [1, 2, 11, 12, 13, 40])
@pytest.mark.parametrize(("features_in", "features_out"), [(300, 100), (33, 32), (5, 171)])
def test_twice_the_width_gives_the_same(
    wide: ctypes.CDLL, pairs: bool, rows: int, features_in: int, features_out: int
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(features_out, features_in).bfloat16()
    back = torch.randn(features_in, features_out).bfloat16()
    panels, back_panels = packed(weight, 2 if pairs else 1), packed(back, 2 if pairs else 1)
    x, bias, y = torch.randn(rows, features_in), torch.randn(features_out), torch.empty(rows, features_in)

    def layer(*shape: int, w: torch.Tensor, **others: torch.Tensor) -> LinearArgs:
        pointers = {name: t.data_ptr() for name, t in others.items()}
        return LinearArgs(rows, *shape, w=w.data_ptr(), relu="bias" in others, **pointers)

    first = layer(features_out, features_in, w=panels, bias=bias)
    second = layer(features_in, features_out, w=back_panels, residual=x, y=y)

    wide.run_wide(ctypes.byref(first), ctypes.byref(second), ctypes.c_void_p(x.data_ptr()))

    def multiplied(numbers: torch.Tensor) -> torch.Tensor:
        return numbers.bfloat16().double() if pairs else numbers.double()

    hidden = (multiplied(x) @ weight.double().T + bias).relu()
    expected = multiplied(hidden.float()) @ back.double().T + x
    # A rounding to bfloat16 may fall to the other side.
    torch.testing.assert_close(y.double(), expected, atol=5e-2 if pairs else 1e-3, rtol=1e-5)
