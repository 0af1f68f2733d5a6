"""The gateway in front of the model servers."""

__version__ = "0.2.0"
