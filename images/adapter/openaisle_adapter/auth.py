"""API keys: where they come from, and whether a request carries one."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path

from .errors import MissingKey, StartError, WrongKey
from .settings import Settings

logger = logging.getLogger(__name__)


class Keys:
    """The keys that open the API, each with its owner's name.

    Only digests are kept: comparing digests of equal length takes the same time for every key, and
    a dump of the memory shows no key.
    """

    def __init__(self, fixed: Mapping[str, list[bytes]], folder: KeysFolder | None = None):
        self._fixed = [(name, _digest(key)) for name, keys in fixed.items() for key in keys]
        self._folder = folder
        self._digests: list[tuple[str, bytes]] = []
        self._set(folder.read() if folder else {})

    def name_of(self, authorization: str | None) -> str:
        """The name of the key in an Authorization header.

        Raises:
            MissingKey, WrongKey: there is none, or it is not ours.
        """
        key = _presented_key(authorization)
        digest = _digest(key)
        found: str | None = None
        for name, known in self._digests:
            if hmac.compare_digest(digest, known):
                found = name
        if found is None:
            raise WrongKey(
                f"Incorrect API key provided: {_masked(key)}. Ask whoever runs this server for a key."
            )
        return found

    def reload(self) -> None:
        """Read the folder again if it has changed; if it can't be read, the old keys stay."""
        if self._folder is None or not self._folder.changed():
            return
        try:
            self._set(self._folder.read())
        except StartError as error:
            logger.error("The keys were not read again, the old ones stay valid: %s", error)
        else:
            logger.info("The keys were read again: there are %d now.", len(self._digests))

    def _set(self, keys: Mapping[str, bytes]) -> None:
        self._digests = self._fixed + [(name, _digest(key)) for name, key in keys.items()]


class KeysFolder:
    """A folder with a file for each key, such as a mounted Secret.

    Kubernetes replaces a mounted Secret as a whole, by turning the link `..data` to a new folder;
    every file's inode changes with it, which is what `changed` sees.
    """

    def __init__(self, path: Path):
        self._path = path
        self._seen: object = None

    def changed(self) -> bool:
        """Whether the folder looks different from when it was last read, or tried to be."""
        return self._fingerprint() != self._seen

    def read(self) -> dict[str, bytes]:
        """The keys by name.

        Raises:
            StartError: the folder, or a key in it, can't be used; the sentence names it.
        """
        self._seen = self._fingerprint()
        try:
            return {file.name: _usable_key(file.read_bytes(), str(file)) for file in self._files()}
        except OSError as error:
            raise StartError(
                f"The key in {error.filename or self._path} can't be read ({error.strerror}): mount the "
                "Secret there so that this user may read it."
            ) from error

    def _files(self) -> list[Path]:
        return sorted(path for path in self._path.iterdir() if path.name[0] != "." and not path.is_dir())

    def _fingerprint(self) -> object:
        try:
            stats = [(file.name, file.stat()) for file in self._files()]
        except OSError as error:
            return str(error)
        return [(name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats]


def keys_from(settings: Settings) -> Keys:
    """The keys that the settings name; with none, a random one, which is logged.

    Raises:
        StartError: a key can't be read or used.
    """
    fixed: dict[str, list[bytes]] = {}
    if settings.api_key is not None:
        fixed["api-key"] = [_usable_key(settings.api_key.encode("utf-8", "surrogateescape"), "--api-key")]
    if settings.auth_token is not None:
        fixed["auth-token"] = _both_forms(settings.auth_token)
    folder = None
    if settings.keys_dir is not None:
        folder = KeysFolder(settings.keys_dir)
        if not folder.read() and not fixed:
            raise StartError(
                f"There is no key in {settings.keys_dir}: put one file there for each key, "
                "named as the key's owner."
            )
    elif not fixed:
        key = "sk-" + secrets.token_urlsafe(24)
        logger.warning("No API key was given; this one was made for this run: %s", key)
        fixed["generated"] = [key.encode()]
    return Keys(fixed, folder)


def _both_forms(auth_token: str) -> list[bytes]:
    """The key that --auth-token carries in base64, and the base64 text itself."""
    text = "".join(auth_token.split())
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise StartError(
            "--auth-token is not base64: encode the key with `printf %s KEY | base64`, "
            "or give it as it is with --api-key."
        ) from None
    return [_usable_key(decoded, "--auth-token"), text.encode()]


def _usable_key(key: bytes, source: str) -> bytes:
    """The key without the byte order mark and the newline that editors and `echo` leave around it.

    Raises:
        StartError: no client could send such a key.
    """
    key = key.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n")
    if not key:
        raise StartError(f"The key in {source} is empty.")
    if any(byte <= 0x20 or byte == 0x7F for byte in key):
        raise StartError(
            f"The key in {source} contains a space or a control character, which no client can send: "
            "write the key alone."
        )
    return key


def _presented_key(authorization: str | None) -> bytes:
    scheme, _, credentials = (authorization or "").strip().partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer" and credentials:
        return credentials.encode("utf-8", "surrogateescape")
    if scheme.lower() == "basic" and credentials:
        return _basic_password(credentials)
    raise MissingKey


def _basic_password(credentials: str) -> bytes:
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        user, colon, password = b"", b"", b""
    if user or not colon:
        raise WrongKey(
            "With Basic authentication the user name is empty and the API key is the password, "
            "as in `curl -u :YOUR_KEY`."
        )
    if not password:
        raise MissingKey
    return password


def _masked(key: bytes) -> str:
    """Enough of the key for its owner to recognise it, and no more."""
    text = key.decode("ascii", "replace")
    if len(text) < 12:
        return "***"
    return f"{text[:5]}***{text[-2:]}"


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
