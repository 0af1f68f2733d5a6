"""Finding a model in a folder, and the command line that names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from openaisle_opt.checkpoint import check_folder, resolve
from openaisle_opt.errors import CheckpointError, SettingsError
from openaisle_opt.settings import BUNDLED_MODEL_NAME, parse_settings
from opt.server.checkpoints import write_checkpoint


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
        ("~nobody-of-this-name/opt", "There is no folder ~nobody-of-this-name/opt"),
        ("", "'' is neither a folder nor a Hub id"),
        (__file__, "test_checkpoint.py is a file; give --model the folder"),
        (os.path.relpath(__file__), "test_checkpoint.py is a file; give --model the folder"),
        (f"{__file__}/below", "There is no folder"),
        ("/" + 5000 * "a", "cannot be read: File name too long"),
        ("a/b/c", "neither a folder nor a Hub id"),
        ("what is this", "neither a folder nor a Hub id"),
    ],
)
def test_what_is_no_model_is_told_in_a_sentence(model: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        resolve(model, None, None)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.json", "."])
def test_what_may_not_be_read_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "locked" / "opt"
    folder.mkdir(parents=True)
    write_checkpoint(folder)
    # Of a folder that may not be entered not even the existence of its files can be told.
    (folder.parent if name == "." else folder / name).chmod(0)
    done = as_nobody([sys.executable, "-c", RESOLVE, str(folder)])
    (folder.parent if name == "." else folder / name).chmod(0o755)
    assert done.stdout == f"{folder / name} cannot be read: Permission denied.\n", done.stderr


RESOLVE = """
import sys
from openaisle_opt.checkpoint import resolve
from openaisle_opt.errors import CheckpointError
try:
    resolve(sys.argv[1], None, None)
except CheckpointError as error:
    print(error)
"""


def as_nobody(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a program without root's right to read everything."""
    if os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


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
