"""What hack/sbom says of an image, given as the tar file of its files."""

from __future__ import annotations

import io
import json
import pathlib
import subprocess
import sys
import tarfile

import pytest

PACKAGES = "opt/venv/lib/python3.11/site-packages"

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
    "usr/share/doc/gcc-12-base/copyright": "see /usr/share/common-licenses/GPL-3.\n",
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
}


@pytest.fixture
def image(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as archive:
        for name, text in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("usr/share/doc/libstdc++6")
        link.type, link.linkname = tarfile.SYMTYPE, "gcc-12-base"
        archive.addfile(link)
    return path


def sbom(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "hack" / "sbom", *arguments], capture_output=True, text=True
    )


def test_the_bill_of_materials_names_each_installed_package(root: pathlib.Path, image: pathlib.Path) -> None:
    bill = json.loads(sbom(root, str(image)).stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    licences = {item["purl"]: item["licenses"][0]["license"]["name"] for item in bill["components"]}
    assert licences == {
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u8": "BSD-3-clause, LGPL-2.1+",
        "pkg:deb/debian/libstdc++6@12.2.0-14": "GPL-3",
        "pkg:pypi/sanic@25.12.1": "MIT License",
        "pkg:pypi/typing-extensions@4.16.0": "PSF-2.0",
    }


def test_the_licences_are_a_table_for_reading(root: pathlib.Path, image: pathlib.Path) -> None:
    lines = sbom(root, "--licences", str(image)).stdout.splitlines()
    assert [line.split(maxsplit=3) for line in lines] == [
        ["deb", "libc6", "2.36-9+deb12u8", "BSD-3-clause, LGPL-2.1+"],
        ["deb", "libstdc++6", "12.2.0-14", "GPL-3"],
        ["pypi", "sanic", "25.12.1", "MIT License"],
        ["pypi", "typing_extensions", "4.16.0", "PSF-2.0"],
    ]


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
