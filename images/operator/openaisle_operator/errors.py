"""What can go wrong, by what is done about it.

OperatorError
├── StartError     the operator cannot run; it ends with the sentence
├── Refused        the model cannot be made as it is written; its condition says so until it changes
└── ApiError       the API server is away or says no; tried again later
    ├── NotFound   the object isn't there
    └── Invalid    the object cannot be as it is written
"""

from __future__ import annotations


class OperatorError(Exception):
    """Its text is one sentence for people."""


class StartError(OperatorError):
    """The operator cannot run."""


class Refused(OperatorError):
    """The model cannot be made as it is written."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


class ApiError(OperatorError):
    """The API server is away (status 0) or says no."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class NotFound(ApiError):
    """The object, or its kind, isn't there."""


class Invalid(ApiError):
    """The object cannot be as it is written."""

    @property
    def immutable(self) -> bool:
        """Whether the object could be made anew, but not changed in place."""
        return "field is immutable" in str(self) or "updates to statefulset spec" in str(self)
