"""What the environment says about the Hub, in the variables that the Hub's own client reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ENDPOINT = "https://huggingface.co"


@dataclass(frozen=True)
class HubSettings:
    """Where models come from and where they are kept."""

    cache: Path
    """A folder in the layout of the Hub's own client."""
    endpoint: str = ENDPOINT
    token: str | None = None
    offline: bool = False
    """Whether only what is in `cache` already may be used."""

    @classmethod
    def read(cls, folder: str | None = None, environment: Mapping[str, str] = os.environ) -> HubSettings:
        """The settings; `folder` goes before what the environment says of the cache."""
        get = environment.get
        home = Path(get("HF_HOME") or Path(get("XDG_CACHE_HOME") or "~/.cache", "huggingface")).expanduser()
        return cls(
            cache=Path(folder or get("HF_HUB_CACHE") or home / "hub").expanduser(),
            endpoint=(get("HF_ENDPOINT") or ENDPOINT).rstrip("/"),
            token=get("HF_TOKEN") or _stored_token(Path(get("HF_TOKEN_PATH") or home / "token").expanduser()),
            offline=(get("HF_HUB_OFFLINE") or "").lower() in ("1", "on", "yes", "true"),
        )


def _stored_token(path: Path) -> str | None:
    """What `hf auth login` left."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None
