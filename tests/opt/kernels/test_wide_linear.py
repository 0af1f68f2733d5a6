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
        *((name, ctypes.c_void_p) for name in ("x", "w", "bias", "residual", "y")),
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


@pytest.mark.parametrize("rows", [1, 2, 11, 12, 13, 40])
@pytest.mark.parametrize(("features_in", "features_out"), [(300, 100), (33, 32), (5, 170)])
def test_twice_the_width_gives_the_same(
    wide: ctypes.CDLL, pairs: bool, rows: int, features_in: int, features_out: int
) -> None:
    torch.manual_seed(0)
    depth = 2 if pairs else 1
    weight = torch.randn(features_out, features_in).bfloat16()
    num_panels, num_steps = -(-features_out // PANEL), -(-features_in // depth)
    padded = torch.zeros(num_panels * PANEL, num_steps * depth, dtype=torch.bfloat16)
    padded[:features_out, :features_in] = weight
    packed = padded.view(num_panels, PANEL, num_steps, depth).transpose(1, 2).contiguous()
    x, bias = torch.randn(rows, features_in), torch.randn(features_out)
    if pairs:
        x = torch.nn.functional.pad(x, (0, features_in % 2)).bfloat16()
    residual, y = torch.randn(rows, features_out), torch.empty(rows, features_out)
    pointers = [t.data_ptr() for t in (x, packed, bias, residual, y)]

    wide.run_wide(
        ctypes.byref(LinearArgs(rows, features_out, features_in, *pointers, True)), ctypes.c_int64(num_panels)
    )

    expected = (x[:, :features_in].double() @ weight.double().T + bias).relu() + residual
    torch.testing.assert_close(y.double(), expected, atol=1e-4, rtol=1e-5)
