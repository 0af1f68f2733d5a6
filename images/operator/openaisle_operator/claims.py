"""A volume doesn't shrink (pure functions).

The chart leaves a claim that is larger than the model needs as it is, where its `lookup` sees it; the
operator's `helm template` sees nothing.
"""

from __future__ import annotations

import re
from typing import Any

Object = dict[str, Any]

BYTES = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    unit: 2.0 ** (10 * power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)
}


def keep_size(claim: Object, existing: Object, spec: Object) -> None:
    """Ask for what the existing claim has, if that is more, and the OPTModel's spec names no size."""
    named = ((spec.get("weights") or {}).get("cache") or {}).get("size")
    had = existing["spec"]["resources"]["requests"]["storage"]
    wanted = claim["spec"]["resources"]["requests"]
    if not named and _bytes(had) > _bytes(wanted["storage"]):
        wanted["storage"] = had


def _bytes(quantity: str) -> float:
    found = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", quantity)
    return float(found[1]) * BYTES.get(found[2], 0) if found else 0
