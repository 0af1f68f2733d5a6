"""What hack/sbom says of an image, given as the tar file of its files."""

from __future__ import annotations

import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
from typing import Any

import pytest

PACKAGES = "opt/venv/lib/python3.11/site-packages"

BSD = """Redistribution and use in source and binary forms is permitted.
Its name may not be used to endorse or promote products.
"""
MIT = """Permission is hereby granted, free of charge, to any person obtaining
a copy of this software, to deal in it.
"""

FILES = {
    "var/lib/dpkg/status": """Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u8

Package: gone
Status: deinstall ok config-files
Version: 1

Package: libstdc++6
Status: install ok installed
Version: 12.2.0-14
""",
    "usr/share/doc/libc6/copyright": "Files: *\nLicense: LGPL-2.1+\n\nLicense: BSD-3-clause\n",
    "usr/share/doc/gcc-12-base/copyright": "see /usr/share/common-licenses/GPL-3.\nLicense: This is prose.\n",
    f"{PACKAGES}/sanic-25.12.1.dist-info/METADATA": """Metadata-Version: 2.1
Name: sanic
Version: 25.12.1
Classifier: License :: OSI Approved :: MIT License

Longer words.
""",
    f"{PACKAGES}/typing_extensions-4.16.0.dist-info/METADATA": """Metadata-Version: 2.4
Name: typing_extensions
Version: 4.16.0
License-Expression: PSF-2.0
""",
    f"{PACKAGES}/torch-2.13.0+cpu.dist-info/METADATA": "Name: torch\nVersion: 2.13.0+cpu\n",
    f"{PACKAGES}/torch-2.13.0+cpu.dist-info/licenses/LICENSE": BSD,
    f"{PACKAGES}/torch-2.13.0+cpu.dist-info/licenses/third_party/a/third_party/fmt/LICENSE.rst": MIT,
    f"{PACKAGES}/torch-2.13.0+cpu.dist-info/licenses/third_party/a/test/LICENSE": "GPL\n",
    f"{PACKAGES}/torch/lib/libgomp-a34b3233.so.1": "",
    f"{PACKAGES}/torch/lib/libcudart-80664282.so.10.2": "",
    f"{PACKAGES}/torch/lib/librocblas.so": "",
    f"{PACKAGES}/torch/lib/libtorch_cpu.so": "",
    f"{PACKAGES}/flask_swagger_ui/dist/VERSION": "v5.34.0\n",
    f"{PACKAGES}/flask_swagger_ui/dist/LICENSE": "Licensed under the Apache License, Version 2.0",
    "opt/venv/lib/python3.10/site-packages/old-1.dist-info/METADATA": "Name: old\nVersion: 1\nLicense: MIT\n",
    "opt/venv/lib/python3.10/site-packages/old-1.dist-info/LICENSE": (
        "We list these here.\n\nName: zstd\nLicense: BSD-3-Clause\nFiles: third_party/zstd\n"
    ),
    "opt/python/include/python3.10/patchlevel.h": '#define PY_VERSION              "3.10.19"\n',
    "usr/local/bin/helm": (
        "\x7fELF\xff Go buildinf:\x08\x02\x08go1.26.8\n"
        "path\thelm.sh/helm/v3/cmd/helm\nmod\thelm.sh/helm/v3\tv3.18.4\th1:x=\n"
        "dep\tgolang.org/x/net\tv0.57.0\th1:y=\n"
    ),
    "usr/local/bin/script": "#!/bin/sh\n",
}


@pytest.fixture
def image(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as archive:
        for name, text in FILES.items():
            member = tarfile.TarInfo(name)
            content = text.encode("latin-1")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("usr/share/doc/libstdc++6")
        link.type, link.linkname = tarfile.SYMTYPE, "gcc-12-base"
        archive.addfile(link)
    return path


def sbom(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "hack" / "sbom", *arguments], capture_output=True, text=True
    )


LICENCES = {
    "pkg:deb/debian/libc6@2.36-9%2Bdeb12u8": "BSD-3-clause, LGPL-2.1+",
    "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14": "GPL-3",
    "pkg:generic/python@3.10.19": "PSF-2.0",
    "pkg:golang/golang.org/x/net@v0.57.0": "not told",
    "pkg:golang/helm.sh/helm/v3@v3.18.4": "not told",
    "pkg:golang/stdlib@1.26.8": "BSD-3-Clause",
    "pkg:npm/swagger-ui-dist@5.34.0": "Apache-2.0",
    "pkg:pypi/old@1": "MIT",
    "pkg:pypi/sanic@25.12.1": "MIT License",
    "pkg:pypi/torch@2.13.0%2Bcpu": "BSD-3-Clause",
    "pkg:pypi/typing-extensions@4.16.0": "PSF-2.0",
}


def licence(item: dict[str, Any]) -> str:
    return item["licenses"][0]["license"]["name"]


def test_the_bill_of_materials_names_all_that_is_there(root: pathlib.Path, image: pathlib.Path) -> None:
    bill = json.loads(sbom(root, str(image)).stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert {item["purl"]: licence(item) for item in bill["components"]} == LICENCES


def test_what_a_package_bundles_is_within_it(root: pathlib.Path, image: pathlib.Path) -> None:
    items = json.loads(sbom(root, str(image)).stdout)["components"]
    bundled = {
        item["name"]: {part["name"]: licence(part) for part in item["components"]}
        for item in items
        if "components" in item
    }
    assert bundled == {
        "old": {"zstd": "BSD-3-Clause"},
        "torch": {
            "fmt": "MIT",
            "libcudart": "NVIDIA CUDA Toolkit EULA",
            "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
            "librocblas": "not told",
        },
    }


def test_the_licences_are_a_table_for_reading(root: pathlib.Path, image: pathlib.Path) -> None:
    lines = sbom(root, "--licences", str(image)).stdout.splitlines()
    rows = [re.split(r" {2,}", re.sub(r"^(\w+) +", r"\1  ", line), maxsplit=3) for line in lines]
    assert ["deb", "libstdc++6", "12.2.0-14", "GPL-3"] in rows
    assert ["part", "fmt", "in torch@2.13.0+cpu", "MIT"] in rows
    assert len(rows) == len(LICENCES) + 5


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("nowhere/nothing:0", "neither docker nor podman has an image nowhere/nothing:0; build or pull it."),
        ("/no/such.tar", "/no/such.tar cannot be read: No such file or directory."),
    ],
)
def test_what_cannot_be_read_is_one_sentence(root: pathlib.Path, image: str, sentence: str) -> None:
    result = sbom(root, image)
    assert (result.returncode, result.stderr) == (1, f"hack/sbom: {sentence}\n")
