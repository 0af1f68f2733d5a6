"""What to tell someone who asked for a route that does not exist; the gateway says the same."""

from __future__ import annotations

_LACKS_PREFIX = ("/completions", "/chat/completions", "/models", "/engines")
_SHOWN_PATH_LENGTH = 200


def no_such_route(method: str, path: str) -> str:
    """OpenAI's sentence, and what was probably meant."""
    return f"Invalid URL ({method} {path[:_SHOWN_PATH_LENGTH]}). {_hint(path[:_SHOWN_PATH_LENGTH])}"


def _hint(path: str) -> str:
    if path.startswith("//"):
        return f"The path begins with two slashes: ask for {'/' + path.lstrip('/')}."
    if path.startswith("/v1/v1/"):
        return f"/v1 is there twice: the base URL ends with /v1, and the path is {path[3:]}."
    if path.startswith(_LACKS_PREFIX):
        return f"The path lacks /v1: ask for /v1{path}, or let the client's base URL end with /v1."
    if path.startswith("/v1/completions/"):
        return "The client's base URL ends with /v1; the client adds /completions itself."
    return (
        "The routes are POST /v1/completions, POST /v1/chat/completions, GET /v1/models and "
        "GET /v1/models/{model}."
    )
