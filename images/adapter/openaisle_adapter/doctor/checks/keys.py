"""The clients' keys, as the Secret is mounted, and what stands in the way of a Hub token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..finding import Finding


def read_keys(folder: Path) -> dict[str, str]:
    """The keys by name; none if the folder isn't there, as where an optional Secret is missing."""
    if not folder.is_dir():
        return {}
    files = (path for path in sorted(folder.iterdir()) if path.name[0] != "." and path.is_file())
    return {path.name: path.read_text(errors="replace").strip() for path in files}


def check_keys(folder: Path | None, secret: str, namespace: str) -> Iterator[Finding]:
    """One line; the Secret's name is for the cure."""
    if folder is None:
        yield Finding(
            "keys",
            "skipped",
            "the Secret isn't mounted here",
            f"kubectl -n {namespace} get secret {secret}",
        )
        return
    keys = read_keys(folder)
    create = f"kubectl -n {namespace} create secret generic {secret} --from-literal=default=sk-..."
    if not keys:
        yield Finding(
            "keys",
            "fail",
            f"the Secret {secret} of the clients' keys is missing or has no entry",
            create,
            "secrets",
        )
    elif bad := [name for name, key in keys.items() if not key or any(letter.isspace() for letter in key)]:
        entry = f'{{"stringData": {{"{bad[0]}": "sk-..."}}}}'
        yield Finding(
            "keys",
            "fail",
            f"the entry {bad[0]} of the Secret {secret} is empty or has a space in it: no client can send it",
            f"kubectl -n {namespace} patch secret {secret} -p '{entry}'",
            "secrets",
        )
    else:
        yield Finding("keys", "ok", f"{len(keys)} of them ({', '.join(list(keys)[:3])})")
