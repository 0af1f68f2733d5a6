"""Read the JSON object of a request, field by field, and name the field that cannot be read."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ..errors import InvalidRequest, ModelNotFound

MAX_STOP_CHARACTERS = 10_000
"""Of all stop strings of a request together."""
INT64 = (-(2**63), 2**63 - 1)

_SHOWN_VALUE_LENGTH = 80


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; what JSON leaves open (NaN, a key given twice) is refused."""
    try:
        # Windows' own programs begin a file with a byte order mark, which JSON lets us pass over.
        value = json.loads(
            body.decode("utf-8-sig"), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        _refuse_json(f"byte {error.start} is not UTF-8", error)
    except RecursionError as error:
        _refuse_json("it is nested too deeply", error)
    except ValueError as error:
        too_long = str(error).startswith("Exceeds the limit")
        _refuse_json("a number has too many digits" if too_long else str(error), error)
    if not isinstance(value, dict):
        raise InvalidRequest(f"The body of the request has to be a JSON object, not {shown(value)}.")
    return value


def _refuse_json(reason: str, error: Exception) -> NoReturn:
    raise InvalidRequest(
        f"We could not parse the JSON body of your request: {reason}. (HINT: the API expects a JSON "
        "payload, but what was sent was not valid JSON.)"
    ) from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} is given twice")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def shown(value: object) -> str:
    """A value as JSON, in ASCII, and not too much of it."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_VALUE_LENGTH else text[:_SHOWN_VALUE_LENGTH] + "..."


def is_integer(value: object) -> bool:
    return type(value) is int


def is_token_id(value: object) -> bool:
    return type(value) is int and value >= 0


def check_unicode(text: str, param: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"Half of a surrogate pair stands alone at character {error.start} - '{param}'", param=param
        ) from error
    return text


class Fields:
    """The fields of one body. An explicit null is the same as leaving a field out."""

    def __init__(self, values: dict[str, Any]):
        self.values = values

    def refuse_unknown(self, known: set[str] | frozenset[str]) -> None:
        unknown = [name for name in self.values if name not in known]
        if unknown:
            names = ", ".join(shown(name)[1:-1] for name in unknown[:10])
            plural = "s" if len(unknown) > 1 else ""
            raise InvalidRequest(
                f"Unrecognized request argument{plural} supplied: {names}", param=shown(unknown[0])[1:-1]
            )

    def wrong_type(self, name: str, expected: str) -> NoReturn:
        raise InvalidRequest(
            f"{shown(self.values.get(name))} is not of type '{expected}' - '{name}'", param=name
        )

    def check_range(self, value: float, low: float, high: float, name: str) -> None:
        if value < low:
            raise InvalidRequest(f"{shown(value)} is less than the minimum of {low} - '{name}'", param=name)
        if value > high:
            raise InvalidRequest(
                f"{shown(value)} is greater than the maximum of {high} - '{name}'", param=name
            )

    def model(self, served: str, path_model: str | None) -> str:
        """The model that is asked for; one that the path names need not be in the body."""
        name = self.values.get("model")
        if name is None:
            name = path_model
        if name is None:
            raise InvalidRequest("You must provide a model parameter.", param="model")
        if not isinstance(name, str):
            raise InvalidRequest("Invalid type for 'model': expected a string.", param="model")
        if path_model is not None and path_model != name:
            raise InvalidRequest(
                f"The path names the model {shown(path_model)} and the body {shown(name)}; leave 'model' out "
                "of the body.",
                param="model",
            )
        if name != served:
            raise ModelNotFound(shown(name)[1:-1])
        return name

    def optional_model(self, served: str) -> None:
        if self.values.get("model") is not None:
            self.model(served, None)

    def optional_string(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            self.wrong_type(name, "string")
        return None if value is None else check_unicode(value, name)

    def boolean(self, name: str, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong_type(name, "boolean")
        return value

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if not is_integer(value):
            self.wrong_type(name, "integer")
        self.check_range(value, low, high, name)
        return int(value)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.optional_integer(name, low, high)
        return default if value is None else value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.values.get(name)
        if value is None:
            return default
        if not (is_integer(value) or isinstance(value, float)):
            self.wrong_type(name, "number")
        self.check_range(value, low, high, name)
        return float(value)

    def include_usage(self, stream: bool) -> bool:
        options = self.values.get("stream_options")
        if options is None:
            return False
        if not isinstance(options, dict):
            self.wrong_type("stream_options", "object")
        if not stream:
            raise InvalidRequest(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                param="stream_options",
            )
        for name, value in options.items():
            if name not in ("include_usage", "include_obfuscation"):
                raise InvalidRequest(
                    f"Unrecognized request argument supplied: stream_options.{shown(name)[1:-1]}",
                    param="stream_options",
                )
            if value is not None and not isinstance(value, bool):
                raise InvalidRequest(
                    f"{shown(value)} is not of type 'boolean' - 'stream_options.{name}'",
                    param="stream_options",
                )
        return bool(options.get("include_usage"))

    def stop(self) -> list[str]:
        value = self.values.get("stop")
        if value is None:
            return []
        strings = [value] if isinstance(value, str) else value
        if not (isinstance(strings, list) and all(isinstance(string, str) for string in strings)):
            self.wrong_type("stop", "string or array of strings")
        if "" in strings:
            raise InvalidRequest("A stop string has to have at least one character - 'stop'", param="stop")
        if sum(map(len, strings)) > MAX_STOP_CHARACTERS:
            raise InvalidRequest(
                f"The stop strings have more than {MAX_STOP_CHARACTERS} characters together - 'stop'",
                param="stop",
            )
        return [check_unicode(string, "stop") for string in strings]

    def logit_bias(self) -> dict[int, float]:
        value = self.values.get("logit_bias")
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.wrong_type("logit_bias", "object")
        biases = {}
        for key, bias in value.items():
            if not (key.isascii() and key.isdigit() and len(key) <= 9):
                raise InvalidRequest(
                    f"{shown(key)} is not the id of a token - 'logit_bias'", param="logit_bias"
                )
            if not (is_integer(bias) or isinstance(bias, float)):
                raise InvalidRequest(
                    f"{shown(bias)} is not of type 'number' - 'logit_bias.{key}'", param="logit_bias"
                )
            self.check_range(bias, -100, 100, "logit_bias")
            biases[int(key)] = float(bias)
        return biases
