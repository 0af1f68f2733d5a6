"""The engine and the server that speak for one OPT model."""

__version__ = "0.2.0"
