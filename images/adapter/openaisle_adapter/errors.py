"""Every error that a user of the program or of its API can see.

OpenAisleError
├── StartError            one sentence on stderr, exit code 1
└── ApiError              an answer in OpenAI's error shape
    ├── InvalidRequest         400
    ├── Unauthorized           401
    │   ├── MissingKey         401
    │   └── WrongKey           401
    ├── ModelForbidden         403
    ├── RouteNotFound          404
    ├── ModelNotFound          404
    ├── MethodNotAllowed       405
    ├── BodyTimeout            408
    ├── BodyTooLarge           413
    ├── ExpectationFailed      417
    ├── RateLimited            429
    ├── HeaderTooLarge         431
    ├── InternalError          500
    ├── BadGateway             502
    ├── ForeignError           the status that came
    ├── Unavailable            503
    └── UpstreamTimeout        504
"""

from __future__ import annotations

import json


class OpenAisleError(Exception):
    """The root; its text is a sentence for the user."""


class StartError(OpenAisleError):
    """The program cannot start: the sentence goes to stderr, the exit code is 1."""


class ApiError(OpenAisleError):
    """An answer in OpenAI's error shape."""

    status = 500
    type = "server_error"
    code: str | None = None
    quiet = True  # Sanic logs no traceback for it

    def __init__(self, message: str, *, param: str | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers or {}

    def body(self) -> bytes:
        """The JSON body; all four keys are always there."""
        # JSON can bring half a surrogate pair into a message, which UTF-8 cannot carry.
        message = self.message.encode("utf-8", "backslashreplace").decode("utf-8")
        error = {"message": message, "type": self.type, "param": self.param, "code": self.code}
        return json.dumps({"error": error}, ensure_ascii=False, separators=(",", ":")).encode()


class InvalidRequest(ApiError):
    """The request cannot be carried out as it was sent."""

    status = 400
    type = "invalid_request_error"


class Unauthorized(ApiError):
    """The request carries no key that is known here."""

    status = 401
    type = "invalid_request_error"

    def __init__(self, message: str):
        # A Basic challenge would open the browser's own login box over the demo page.
        super().__init__(message, headers={"www-authenticate": 'Bearer realm="OpenAISLE"'})


class MissingKey(Unauthorized):
    """There is no key in the request at all."""

    def __init__(self) -> None:
        super().__init__(
            "You didn't provide an API key. You need to provide your API key in an Authorization header "
            "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank "
            "username) if you're accessing the API from your browser and are prompted for a username and "
            "password."
        )


class WrongKey(Unauthorized):
    """There is a key, but not one of ours."""

    code = "invalid_api_key"


class ModelForbidden(ApiError):
    """The model is there, but not for this key."""

    status = 403
    type = "invalid_request_error"
    code = "model_not_found"

    def __init__(self, key: str, model: str):
        super().__init__(f"The key `{key}` does not have access to the model `{model}`.", param="model")


class RouteNotFound(ApiError):
    """There is no such route."""

    status = 404
    type = "invalid_request_error"
    code = "unknown_url"


class ModelNotFound(ApiError):
    """No model of this name is served here."""

    status = 404
    type = "invalid_request_error"
    code = "model_not_found"

    def __init__(self, model: str):
        super().__init__(
            f"The model `{model}` does not exist or you do not have access to it.", param="model"
        )


class MethodNotAllowed(ApiError):
    """The route does not know the method; `Allow` names those that it knows."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allowed: list[str]):
        names = ", ".join(allowed)
        super().__init__(f"{method} is not allowed for {path}; use {names}.", headers={"allow": names})


class BodyTimeout(ApiError):
    """The client was too slow in sending the body."""

    status = 408
    type = "invalid_request_error"


class BodyTooLarge(ApiError):
    """The body is longer than --max-body-bytes."""

    status = 413
    type = "invalid_request_error"

    def __init__(self, limit_bytes: int):
        super().__init__(f"The request body is larger than the limit of {limit_bytes} bytes.")


class ExpectationFailed(ApiError):
    """The request expects something other than 100-continue."""

    status = 417
    type = "invalid_request_error"


class RateLimited(ApiError):
    """The key has used up one of its limits, which `limit` names."""

    status = 429
    type = "rate_limit_exceeded"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, limit: str, *, headers: dict[str, str]):
        super().__init__(message, headers=headers)
        self.limit = limit


class HeaderTooLarge(ApiError):
    """The head of the request is longer than the server reads."""

    status = 431
    type = "invalid_request_error"


class InternalError(ApiError):
    """Our own mistake; the log has the traceback under the request's id."""


class BadGateway(ApiError):
    """The model server sent something that is not HTTP, or broke off its answer."""

    status = 502


class ForeignError(ApiError):
    """An error of something that does not speak the API, such as a mesh's proxy before the model server."""

    def __init__(self, status: int, *, headers: dict[str, str]):
        super().__init__(
            f"The model server, or something on the way to it, has answered with status {status} and not in "
            "the form of this API. Whoever runs this server finds more in its log.",
            headers=headers,
        )
        self.status = status
        if status < 500:
            self.type = "invalid_request_error"


class Unavailable(ApiError):
    """No replica of the model can take the request now."""

    status = 503

    def __init__(self, message: str, *, retry_after_s: int = 2):
        super().__init__(message, headers={"retry-after": str(retry_after_s)})


class UpstreamTimeout(ApiError):
    """The model server sent nothing for --timeout-s."""

    status = 504
