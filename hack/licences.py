"""The licence that a text is, told by words that no other has; names as in https://spdx.org/licenses/."""

from __future__ import annotations

import re

UNKNOWN = "not told"

_WORDS = {
    "Apache-2.0 WITH LLVM-exception": "llvm exceptions to the apache 2.0 license",
    "Apache-2.0": r"apache license,? version 2\.0",
    "BSL-1.0": "boost software license",
    "BSD-3-Clause": "redistribution and use in source and binary forms.*to endorse or promote",
    "BSD-2-Clause": "redistribution and use in source and binary forms",
    "ISC": "permission to use, copy, modify, and/or distribute this software for any purpose",
    "LGPL-2.1": r"gnu lesser general public license,? version 2\.1",
    "MIT": "permission is hereby granted, free of charge, to any person obtaining a copy of this software",
    "MPL-2.0": r"mozilla public license,? version 2\.0",
    "PSF-2.0": "python software foundation license",
}
_WITHIN = {
    "Apache-2.0": "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause": "BSD-3-Clause",
    "LGPL-2.1": "MPL-2.0",
}
"""Licences whose words are also part of a longer one's."""


def licences_in(text: str) -> list[str]:
    words = " ".join(re.sub(r"[^\w.,/-]+", " ", text).split()).lower()
    found = [name for name, pattern in _WORDS.items() if re.search(pattern, words)]
    return [name for name in found if _WITHIN.get(name) not in found]


def licence_of(text: str) -> str:
    return " AND ".join(licences_in(text)) or UNKNOWN
