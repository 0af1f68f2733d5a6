"""Every error that a user of the program or of its API can see.

OpenAisleError
├── StartError            one sentence on stderr, exit code 1
│   ├── SettingsError     the command line
│   ├── CheckpointError   the model's files, or the Hub
│   ├── PortError         the address to listen on
│   └── EngineError       the engine process did not come up, or ended
└── ApiError              an answer in OpenAI's error shape
    ├── InvalidRequest             400
    │   └── ContextLengthExceeded  400
    ├── NotFound                   404
    │   ├── ModelNotFound          404
    │   ├── NoChatTemplate         404
    │   └── UnknownRoute           404
    ├── MethodNotAllowed           405
    ├── RequestTimedOut            408
    ├── BodyTooLarge               413
    ├── UnsupportedMediaType       415
    ├── ExpectationFailed          417
    ├── QueueFull                  429
    ├── HeadersTooLarge            431
    ├── EngineFailed               500
    ├── Unavailable                503
    └── AnswerTimedOut             504
"""

from __future__ import annotations


class OpenAisleError(Exception):
    """The root; its text is a sentence for the user."""


class StartError(OpenAisleError):
    """The program cannot start or go on: the sentence goes to stderr, the exit code is 1."""


class SettingsError(StartError):
    """The command line asks for something that cannot be."""


class CheckpointError(StartError):
    """The model's files are missing, are not an OPT, or could not be fetched."""


class PortError(StartError):
    """The address to listen on cannot be had."""


class EngineError(StartError):
    """The engine process could not start, or has ended."""


def reason_of(error: Exception) -> str:
    """An error's own words in one line, as a part of a sentence."""
    return " ".join(str(error).split())[:300].rstrip(".")


def sentence_of(error: Exception) -> str:
    """What to tell of an error that ends the engine."""
    if isinstance(error, StartError):
        return str(error)
    return (
        f"The engine cannot go on because of {type(error).__name__}: {reason_of(error)}; see its log above."
    )


class ApiError(OpenAisleError):
    """An answer in OpenAI's error shape."""

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers or {}

    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON body; all four keys are always there."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(ApiError):
    """The request cannot be carried out as it was sent."""

    status = 400
    type = "invalid_request_error"


class ContextLengthExceeded(InvalidRequest):
    """Prompt and completion do not fit into the model's context."""

    code = "context_length_exceeded"

    def __init__(
        self,
        *,
        max_model_len: int,
        num_prompt_tokens: int,
        max_tokens: int,
        param: str,
        is_estimate: bool = False,
    ):
        """`is_estimate`: the prompt has this many tokens or more."""
        at_least = "at least " if is_estimate else ""
        super().__init__(
            f"This model's maximum context length is {max_model_len} tokens, however you requested {at_least}"
            f"{num_prompt_tokens + max_tokens} tokens ({num_prompt_tokens} in your prompt; {max_tokens} for "
            "the completion). Please reduce your prompt; or completion length.",
            param=param,
        )


class NotFound(ApiError):
    """There is no such thing."""

    status = 404
    type = "invalid_request_error"


class ModelNotFound(NotFound):
    """This server does not serve the model asked for."""

    code = "model_not_found"

    def __init__(self, model: str):
        super().__init__(
            f"The model `{model}` does not exist or you do not have access to it.", param="model"
        )


class NoChatTemplate(NotFound):
    """The model continues texts; nobody has told the server how a chat becomes one."""

    code = "no_chat_template"

    def __init__(self, model: str):
        super().__init__(
            f"The model `{model}` has no chat template: it continues a text and does not chat. "
            "Send a `prompt` to /v1/completions."
        )


class UnknownRoute(NotFound):
    """There is no such route; the message says which is most likely meant."""

    code = "unknown_url"


class MethodNotAllowed(ApiError):
    """The route does not know the method; `Allow` names those that it knows."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: str):
        super().__init__(f"{method} is not allowed for {path}; use {allowed}.", headers={"allow": allowed})


class RequestTimedOut(ApiError):
    """The request did not arrive in time."""

    status = 408
    type = "invalid_request_error"


class BodyTooLarge(ApiError):
    """The body is longer than --max-body-bytes."""

    status = 413
    type = "invalid_request_error"


class UnsupportedMediaType(ApiError):
    """The body is declared to be something other than JSON."""

    status = 415
    type = "invalid_request_error"


class ExpectationFailed(ApiError):
    """The request expects something other than 100-continue."""

    status = 417
    type = "invalid_request_error"


class QueueFull(ApiError):
    """Too many sequences are waiting; `retry-after` says when to come again."""

    status = 429
    type = "rate_limit_exceeded"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: int):
        super().__init__(message, headers={"retry-after": str(retry_after_s)})


class HeadersTooLarge(ApiError):
    """The request line and the headers are too long together."""

    status = 431
    type = "invalid_request_error"


class EngineFailed(ApiError):
    """The engine could not carry out a request that was valid."""

    status = 500


class Unavailable(ApiError):
    """The model is loading, or the server is draining."""

    status = 503

    def __init__(self, message: str, *, retry_after_s: int):
        super().__init__(message, headers={"retry-after": str(retry_after_s)})


class AnswerTimedOut(ApiError):
    """The answer took longer than --request-timeout-s allows."""

    status = 504

    def __init__(self, message: str):
        # Clients of OpenAI's would send it again, twice, and it would take as long.
        super().__init__(message, headers={"x-should-retry": "false"})
