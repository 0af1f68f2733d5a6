"""Finding a model: folders, and a Hub that answers as a test wants it to."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from openaisle_opt.checkpoint import check_folder, resolve
from openaisle_opt.errors import CheckpointError, SettingsError
from openaisle_opt.settings import BUNDLED_MODEL_NAME, parse_settings
from opt.server.checkpoints import write_checkpoint
from opt.server.hub import Hub


def test_a_folder_with_an_opt_is_taken(tmp_path: Path) -> None:
    assert resolve(str(write_checkpoint(tmp_path)), None, None) == tmp_path


def test_shards_are_taken_if_all_are_there(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"lacks 1 of 2 weight files, model-00002-of-00002"):
        check_folder(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").touch()
    check_folder(tmp_path)


def test_weights_may_be_a_bin_file(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    check_folder(tmp_path)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no configuration": (lambda f: (f / "config.json").unlink(), r"config.json \(.*\) is missing"),
    "broken configuration": (lambda f: (f / "config.json").write_text("{"), "is not JSON"),
    "configuration of another kind": (lambda f: (f / "config.json").write_text("[]"), "JSON object"),
    "another model": (lambda f: (f / "config.json").write_text('{"model_type": "llama"}'), "type 'llama'"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "holds no weights"),
    "no tokenizer": (lambda f: (f / "merges.txt").unlink(), "holds no tokenizer"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_folder_without_an_opt_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    breaks, message = BROKEN[name]
    breaks(write_checkpoint(tmp_path))
    with pytest.raises(CheckpointError, match=message) as raised:
        resolve(str(tmp_path), None, None)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("/no/such/folder", "There is no folder /no/such/folder"),
        ("./nothing", "There is no folder"),
        ("a/b/c", "neither a folder nor a Hub id"),
        ("what is this", "neither a folder nor a Hub id"),
    ],
)
def test_what_is_no_model_is_told_in_a_sentence(model: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        resolve(model, None, None)


_PROGRAM = """
import sys
from pathlib import Path
from openaisle_opt.checkpoint import resolve
from openaisle_opt.errors import CheckpointError
try:
    folder = resolve(sys.argv[1], sys.argv[2] or None, sys.argv[3], lambda phase, done: print(phase, done))
    print("FILES", *sorted(path.name for path in folder.iterdir()))
except CheckpointError as error:
    print("ERROR", error)
"""


def _fetch(endpoint: str, cache: Path, model: str = "lab/opt", revision: str = "", **more: str) -> str:
    """What a program prints that resolves a Hub model; the Hub's client reads its settings at import."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(path for path in sys.path if path),
        "HOME": str(cache),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        **more,
    }
    command = [sys.executable, "-c", _PROGRAM, model, revision, str(cache)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_only_the_needed_files_come_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    output = _fetch(hub.url, tmp_path / "cache", HF_TOKEN="hf_secret")
    assert output.splitlines()[-1].split() == [
        "FILES",
        "config.json",
        "merges.txt",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "vocab.json",
    ]
    assert "looking for lab/opt on the Hub" in output
    assert "downloading lab/opt 1.0" in output
    assert {authorization for _, authorization in hub.asked} == {"Bearer hf_secret"}
    asked = len(hub.asked)
    offline = _fetch(hub.url, tmp_path / "cache", HF_HUB_OFFLINE="1")
    assert offline.splitlines()[-1].startswith("FILES config.json")
    assert len(hub.asked) == asked


def test_a_revision_is_asked_for(hub: Hub, tmp_path: Path) -> None:
    _fetch(hub.url, tmp_path / "cache", revision="v1")
    assert hub.asked[0][0] == "/api/models/lab/opt/revision/v1"


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "The Hub has no model lab/opt, or it is private"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "The Hub has no lab/opt; check --revision."),
        (401, {"X-Error-Message": "Invalid username or password."}, "or it is private"),
        (401, {"X-Error-Message": "Invalid credentials in Authorization header"}, "check HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, "is given on request only"),
        (403, {}, "refused the token for lab/opt (status 403)"),
        (418, {}, "answered 418"),
    ],
)
def test_what_the_hub_refuses_is_told_in_a_sentence(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    sentence: str,
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong" if "HF_TOKEN" in sentence else "")
    hub.status, hub.headers = status, headers
    with pytest.raises(CheckpointError) as raised:
        resolve("lab/opt", None, str(tmp_path / "cache"))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_hub_that_is_away_is_named(tmp_path: Path, free_port: Callable[[], int]) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    error = _fetch(endpoint, tmp_path).splitlines()[-1]
    assert f"lab/opt could not be fetched from {endpoint}" in error


def test_offline_the_model_has_to_be_there_already(tmp_path: Path) -> None:
    error = _fetch("http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1").splitlines()[-1]
    assert "is not in the download folder and HF_HUB_OFFLINE is set" in error


def test_a_full_disk_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "HfApi", full)
    with pytest.raises(CheckpointError, match=r"The disk is full, so lab/opt could not be stored"):
        resolve("lab/opt", None, str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (BUNDLED_MODEL_NAME, None)),
        (["--model", "facebook/opt-125m"], ("facebook/opt-125m", None)),
        (["--model", "facebook/opt-125m@v1"], ("facebook/opt-125m", "v1")),
        (["--model", "facebook/opt-125m", "--revision", "v2"], ("facebook/opt-125m", "v2")),
        (["--model", "/models/mine"], ("mine", None)),
        (["--model", "/models/mine", "--served-model-name", "lab/mine"], ("lab/mine", None)),
    ],
)
def test_the_served_name_is_the_id_or_the_folders_name(
    arguments: list[str], expected: tuple[str, str | None]
) -> None:
    settings = parse_settings(arguments)
    assert (settings.served_model_name, settings.revision) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "70000 is not between 0 and 65535"),
        (["--port", "x"], "'x' is not a whole number"),
        (["--dtype", "int3"], "invalid choice: 'int3'"),
        (["--grace-period-s", "-1"], "is not between"),
        (["--kv-cache-gib", "nan"], "is not between"),
        (["--nonsense"], "Unrecognized arguments: --nonsense"),
        (["--served-model-name", ""], "the name is empty"),
        (["--model", "a/b@c", "--revision", "d"], "give one of them"),
    ],
)
def test_a_wrong_option_is_told_in_a_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings(arguments)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
