"""What the handlers need, put together in one place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import cast

from sanic import Request

from .. import __version__
from ..chat_template import ChatTemplate
from ..engine_client import EngineClient
from ..errors import Unavailable
from ..protocol import Ready
from ..settings import Settings
from ..tokenizer import OptTokenizer
from .health import Health
from .metrics import Metrics


@dataclass
class Context:
    """The `ctx` of an app."""

    settings: Settings
    engine: EngineClient
    health: Health
    metrics: Metrics
    tokenizer: OptTokenizer | None = None
    """None until the model is loaded."""
    chat_template: ChatTemplate | None = None
    """None also for a model that does not chat."""

    def model(self) -> tuple[OptTokenizer, Ready]:
        """The tokenizer of the model and what the engine says of it.

        Raises:
            Unavailable: it is still loading, or the server is about to leave.
        """
        self.health.check_ready()
        if self.tokenizer is None or self.engine.ready is None:
            raise Unavailable("The engine has just ended. Please try again.", retry_after_s=1)
        return self.tokenizer, self.engine.ready

    @property
    def fingerprint(self) -> str:
        """OpenAI's `system_fingerprint`: the same as long as a seed gives the same tokens."""
        ready = self.engine.ready
        device = (ready.dtype, ready.device) if ready else ()
        parts = (__version__, self.settings.served_model_name, self.settings.revision, *device)
        return "fp_" + hashlib.sha256(repr(parts).encode()).hexdigest()[:10]


def context_of(request: Request) -> Context:
    """What the app that got this request was made with."""
    return cast(Context, request.app.ctx)
