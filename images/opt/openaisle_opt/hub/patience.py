"""How often something is tried again that a network may yet give."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..errors import CheckpointError

logger = logging.getLogger("openaisle_opt")

PAUSES_S = (1.0, 2.0, 4.0, 8.0)


class HubAway(CheckpointError):
    """The Hub did not answer, or broke off; the next try may go better."""


class Patience:
    """Waits longer after each failure in a row, and gives up after the last pause."""

    def __init__(self, pauses_s: tuple[float, ...] = PAUSES_S, sleep: Callable[[float], None] | None = None):
        self._pauses_s = pauses_s
        self._sleep = sleep or time.sleep
        self._failures = 0

    def succeeded(self) -> None:
        """Something came: failures are counted from none again."""
        self._failures = 0

    def failed(self, error: HubAway) -> None:
        """Wait before the next try.

        Raises:
            HubAway: `error`, when it is time to give up.
        """
        if self._failures == len(self._pauses_s):
            raise error
        pause_s = self._pauses_s[self._failures]
        self._failures += 1
        logger.warning("%s Trying again in %g s.", error, pause_s)
        self._sleep(pause_s)
