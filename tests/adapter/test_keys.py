"""Keys: their forms in a request, where they come from, and a Secret that changes."""

from __future__ import annotations

import base64
import logging
import os

import pytest
from adapter.conftest import KEY
from adapter.fake_engine import fake_engine
from openaisle_adapter.auth import KeysFolder, keys_from
from openaisle_adapter.errors import MissingKey, StartError, WrongKey
from openaisle_adapter.settings import Settings


def basic(user_and_password: str) -> str:
    return "Basic " + base64.b64encode(user_and_password.encode()).decode()


class MountedSecret:
    """A folder as the kubelet makes it: `..data` is a link that turns to a new folder at once."""

    def __init__(self, path):
        self.path = path
        self._version = 0
        path.mkdir()

    def write(self, **keys: str) -> None:
        self._version += 1
        data = self.path / f"..version-{self._version}"
        data.mkdir()
        for name, key in keys.items():
            (data / name).write_text(key)
        new_link = self.path / "..data_tmp"
        new_link.symlink_to(data.name)
        os.replace(new_link, self.path / "..data")
        for entry in self.path.iterdir():
            if not entry.name.startswith("..") and entry.name not in keys:
                entry.unlink()
        for name in keys:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")


@pytest.fixture
def secret(tmp_path):
    return MountedSecret(tmp_path / "keys")


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {KEY}",
        f"bearer {KEY}",
        f"BEARER   {KEY}",
        basic(f":{KEY}"),
        basic(f":{KEY}").replace("Basic", "basic"),
    ],
)
async def test_each_form_of_the_key_opens(adapter, authorization):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.get("/v1/models", headers={"authorization": authorization})
    assert response.status_code == 200


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Digest x", "sk-test", basic(":")])
async def test_missing_key_gives_401_in_openais_words(adapter, authorization):
    async with fake_engine() as engine, adapter(engine.url) as client:
        client.headers.pop("authorization")
        headers = {} if authorization is None else {"authorization": authorization}
        for response in (
            await client.get("/v1/models", headers=headers),
            await client.get("/v1/models/fake/model", headers=headers),
            await client.post("/v1/completions", headers=headers, json={"model": "fake/model"}),
        ):
            error = response.json()["error"]
            assert response.status_code == 401
            assert error["message"].startswith("You didn't provide an API key.")
            assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, None)
            assert response.headers["www-authenticate"].startswith("Bearer")
    assert engine.bodies == []


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [
        ("Bearer sk-abcdefghijklmnopqrstuvwxyz", "sk-ab***yz."),
        (basic(":sk-abcdefghijklmnopqrstuvwxyz"), "sk-ab***yz."),
        ("Bearer short", "provided: ***."),
        (f"Bearer {KEY}x", "sk-te***9x."),
        (basic("me:sk-abcdefghijklmnop"), "user name is empty"),
        (basic(f"{KEY}:"), "user name is empty"),
        ("Basic !!!", "user name is empty"),
        ("Bearer \u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", "***"),
    ],
)
async def test_wrong_key_gives_401_and_is_masked(adapter, authorization, shown):
    async with fake_engine() as engine, adapter(engine.url) as client:
        response = await client.get("/v1/models", headers={"authorization": authorization.encode()})
    error = response.json()["error"]
    assert response.status_code == 401
    assert shown in error["message"]
    assert "ghijkl" not in error["message"]
    assert (error["type"], error["param"], error["code"]) == (
        "invalid_request_error",
        None,
        "invalid_api_key",
    )
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_no_route_but_the_api_needs_a_key(adapter):
    async with fake_engine() as engine, adapter(engine.url) as client:
        client.headers.pop("authorization")
        for path in ("/", "/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path)).status_code == 200
        for path in ("/v1/models", "/v1/models/x", "/tokenizer_info"):
            assert (await client.get(path)).status_code == 401


def opens(keys, key: str) -> str | None:
    """The name of the key, or None if it is not accepted."""
    try:
        return keys.name_of(f"Bearer {key}")
    except (WrongKey, MissingKey):
        return None


def test_auth_token_opens_decoded_and_as_it_is():
    keys = keys_from(Settings(auth_token=base64.b64encode(b"s3cret\n").decode()))
    assert opens(keys, "s3cret") == "auth-token"
    assert opens(keys, base64.b64encode(b"s3cret\n").decode()) == "auth-token"
    assert opens(keys, "other") is None


@pytest.mark.parametrize("token", ["not base64!", "abc", "", "IA==", "Cg=="])
def test_auth_token_that_is_no_key_in_base64_is_refused(token):
    with pytest.raises(StartError, match="--auth-token"):
        keys_from(Settings(auth_token=token))


def test_random_key_is_logged_once_and_opens(caplog):
    with caplog.at_level(logging.WARNING):
        keys = keys_from(Settings())
    [record] = caplog.records
    made = record.getMessage().split()[-1]
    assert made.startswith("sk-")
    assert opens(keys, made) == "generated"


def test_no_random_key_is_made_where_one_is_given(caplog, secret):
    secret.write(alice="sk-alice")
    keys_from(Settings(keys_dir=secret.path))
    keys_from(Settings(api_key="x"))
    assert caplog.records == []


def test_each_file_of_the_folder_is_a_key_with_its_owners_name(secret):
    secret.write(alice="sk-alice\n", bob="sk-bob", carol="\ufeffsk-carol\r\n")
    keys = keys_from(Settings(keys_dir=secret.path, api_key="sk-root"))
    assert [opens(keys, key) for key in ("sk-alice", "sk-bob", "sk-carol", "sk-root", "..data")] == [
        "alice",
        "bob",
        "carol",
        "api-key",
        None,
    ]


def test_secret_that_changes_is_read_again(secret):
    secret.write(alice="sk-alice", bob="sk-bob")
    keys = keys_from(Settings(keys_dir=secret.path))
    secret.write(alice="sk-new", carol="sk-carol")
    keys.reload()
    assert [opens(keys, key) for key in ("sk-alice", "sk-bob", "sk-new", "sk-carol")] == [
        None,
        None,
        "alice",
        "carol",
    ]


def test_secret_that_becomes_empty_opens_nothing_any_more(secret):
    secret.write(alice="sk-alice")
    keys = keys_from(Settings(keys_dir=secret.path))
    secret.write()
    keys.reload()
    assert opens(keys, "sk-alice") is None


@pytest.mark.parametrize("broken", ["", "\n", "two words", "tab\tinside", "two\nlines"])
def test_secret_that_becomes_unusable_keeps_the_old_keys_and_is_logged(secret, caplog, broken):
    secret.write(alice="sk-alice")
    keys = keys_from(Settings(keys_dir=secret.path))
    secret.write(alice="sk-new", bob=broken)
    keys.reload()
    keys.reload()
    assert opens(keys, "sk-alice") == "alice"
    [record] = caplog.records  # said once, not every second
    assert "bob" in record.getMessage()
    secret.write(alice="sk-new")
    keys.reload()
    assert opens(keys, "sk-new") == "alice"


def test_folder_that_vanishes_keeps_the_old_keys(secret, caplog):
    secret.write(alice="sk-alice")
    keys = keys_from(Settings(keys_dir=secret.path))
    secret.path.rename(secret.path.with_name("elsewhere"))
    keys.reload()
    assert opens(keys, "sk-alice") == "alice"
    assert str(secret.path) in caplog.text


@pytest.mark.parametrize("broken", ["", " \n", "two words"])
def test_unusable_key_is_named_at_start(secret, broken):
    secret.write(alice=broken)
    with pytest.raises(StartError, match="alice"):
        keys_from(Settings(keys_dir=secret.path))


def test_empty_or_absent_folder_is_named_at_start(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(StartError, match=str(folder)):
            keys_from(Settings(keys_dir=folder))


def test_unchanged_folder_is_not_read_again(secret):
    secret.write(alice="sk-alice")
    folder = KeysFolder(secret.path)
    folder.read()
    assert not folder.changed()
    secret.write(alice="sk-alice")
    assert folder.changed()


async def test_running_adapter_takes_up_a_new_key(adapter, secret, eventually):
    secret.write(alice="sk-alice")
    async with fake_engine() as engine, adapter(engine.url, api_key=None, keys_dir=secret.path) as client:
        client.headers["authorization"] = "Bearer sk-alice"
        await client.post("/v1/completions", json={"model": "fake/model"})
        assert engine.requests[0].headers["x-openaisle-key-name"] == "alice"
        secret.write(bob="sk-bob")
        client.headers["authorization"] = "Bearer sk-bob"

        async def bob_may_enter() -> bool:
            return (await client.get("/v1/models")).status_code == 200

        await eventually(bob_may_enter)
