"""The engine and the server that speak for one OPT model."""
