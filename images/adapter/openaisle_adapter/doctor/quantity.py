"""Kubernetes' quantities: `500m`, `16Gi`, `4`."""

from __future__ import annotations

import re

_FACTORS = {
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
}


def number(quantity: str) -> float:
    """The quantity in its unit (bytes, processors, pieces); 0 for what isn't one."""
    found = re.fullmatch(r"([0-9.]+(?:[eE][0-9]+)?)([a-zA-Z]*)", quantity)
    if not found or found[2] not in _FACTORS:
        return 0.0
    return float(found[1]) * _FACTORS[found[2]]
