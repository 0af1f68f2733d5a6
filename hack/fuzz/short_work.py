"""Read by schemathesis before it begins: no request may keep the model busy for long."""

from __future__ import annotations

from typing import Any

import schemathesis

MOST = {"max_tokens": (8, 2048), "max_completion_tokens": (8, 2048), "n": (4, 128), "best_of": (8, 128)}
"""What a field is cut down to, and the largest value that is cut. Beyond that it is a mistake, or may be
one, and is sent as it is."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    if isinstance(case.body, dict):
        for name, (most, largest) in MOST.items():
            value = case.body.get(name)
            if type(value) is int and most < value <= largest:
                case.body[name] = most
