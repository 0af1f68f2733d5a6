"""A model from a Hub into a folder, as a pod or a person gets it: `python -m openaisle_opt.fetch`."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fakes.hub import SHA, Hub
from openaisle_opt import fetch as program
from openaisle_opt.checkpoint import check_config, check_folder
from openaisle_opt.errors import CheckpointError
from openaisle_opt.hub.patience import Patience
from openaisle_opt.hub.settings import HubSettings
from openaisle_opt.hub.snapshot import fetch

NEEDED = [
    "config.json",
    "merges.txt",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "vocab.json",
]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def get(hub: Hub, cache: Path) -> Callable[..., Path]:
    """get(model, revision) -> folder; the pauses between tries take no time."""

    def run(model: str = "lab/opt", revision: str | None = None, **settings: object) -> Path:
        where = HubSettings(**{"cache": cache, "endpoint": hub.url} | settings)
        patience = Patience(sleep=lambda _: None)
        return fetch(model, revision, where, check_config, check_folder, patience=patience)

    return run


def start(hub_url: str, cache: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The program, as the init container runs it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return subprocess.Popen(
        [sys.executable, "-m", "openaisle_opt.fetch", *(arguments or ["lab/opt"]), "--into", str(cache)],
        env={**kept, "HOME": str(cache), "HF_ENDPOINT": hub_url, "PYTHONPATH": os.pathsep.join(sys.path)}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def files_asked(hub: Hub) -> list[str]:
    return [path.rpartition("/")[2] for path, _ in hub.asked if "/resolve/" in path]


def test_the_program_says_how_far_it_is_and_prints_the_folder(hub: Hub, cache: Path) -> None:
    output, log = start(hub.url, cache).communicate(timeout=60)
    folder = Path(output.strip())
    assert sorted(path.name for path in folder.iterdir()) == NEEDED
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert "downloading lab/opt (9.01 kB in 6 files): 0%" in log
    assert "downloading lab/opt (9.01 kB in 6 files): 100%" in log
    assert "lab/opt is there" in log


def test_the_program_tells_whoever_asks_at_its_port_how_far_it_is(
    hub: Hub, cache: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    fetching = start(hub.url, cache, "lab/held", "--port", str(port))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:

        def fraction() -> float:
            try:
                return client.get("/health/ready").json()["fraction"] or 0
            except httpx.ConnectError:
                return 0

        while fraction() < 0.4:
            time.sleep(0.05)
        ready = client.get("/health/ready")
        metrics = client.get("/metrics").text
        assert ready.status_code == 503
        assert ready.json()["status"] == "downloading"
        assert ready.json()["phase"] == "downloading lab/held (9.01 kB in 6 files)"
        assert 'openaisle_status{model_name="lab/held",status="downloading"} 1.0' in metrics
        assert 'openaisle_status{model_name="lab/held",status="ready"} 0.0' in metrics
        assert 'openaisle_startup_fraction{model_name="lab/held"} 0.' in metrics
        assert client.get("/health/live").json() == {"status": "live"}
        assert client.head("/health/ready").status_code == 503
        assert client.get("/v1/models").status_code == 404
        hub.released.set()
        output, _ = fetching.communicate(timeout=60)
        assert Path(output.strip(), "model.safetensors").is_file()
        with pytest.raises(httpx.ConnectError):
            client.get("/health/ready")


def test_a_port_that_is_taken_is_named(hub: Hub, cache: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        fetching = start(hub.url, cache, "lab/opt", "--port", str(port))
        _, log = fetching.communicate(timeout=30)
    assert fetching.returncode == 1
    assert log == f"fetch: Port {port} is taken by another program; choose another with --port.\n"


def test_only_what_serving_needs_is_fetched_and_the_weights_last(get: Callable[..., Path], hub: Hub) -> None:
    get()
    assert sorted(files_asked(hub)) == NEEDED
    assert files_asked(hub)[0] == "config.json"
    assert files_asked(hub)[-1] == "model.safetensors"


def test_without_safetensors_the_bin_files_are_fetched(get: Callable[..., Path], hub: Hub) -> None:
    del hub.files["model.safetensors"]
    hub.files["pytorch_model.bin.index.json"] = b'{"weight_map": {"a": "pytorch_model.bin"}}'
    assert (get() / "pytorch_model.bin").read_bytes() == b"x" * 1000
    assert "flax_model.msgpack" not in files_asked(hub)


def test_a_model_that_is_there_needs_no_hub(get: Callable[..., Path], hub: Hub) -> None:
    folder = get()
    hub.asked.clear()
    assert get() == folder
    assert get(offline=True) == folder
    assert get(endpoint="http://127.0.0.1:9") == folder
    assert hub.asked == []


def test_a_model_can_be_read_from_a_volume_that_cannot_be_written(
    get: Callable[..., Path], cache: Path, tmp_path: Path
) -> None:
    """Root, as whom tests may run, can write everywhere; so the folder of locks is a file here."""
    folder = get()
    shutil.rmtree(cache / ".locks")
    (cache / ".locks").touch()
    assert get() == folder


def test_what_the_hubs_own_client_fetched_is_taken(get: Callable[..., Path], hub: Hub, cache: Path) -> None:
    from huggingface_hub import try_to_load_from_cache

    folder = get()
    found = try_to_load_from_cache("lab/opt", "config.json", cache_dir=cache)
    assert found == str(folder / "config.json")


def test_a_file_that_is_missing_is_fetched_and_no_other(get: Callable[..., Path], hub: Hub) -> None:
    vocabulary = get() / "vocab.json"
    vocabulary.resolve().unlink()
    hub.asked.clear()
    assert get() / "vocab.json" == vocabulary
    assert files_asked(hub) == ["vocab.json"]


def test_a_revision_is_fetched_at_its_commit(get: Callable[..., Path], hub: Hub) -> None:
    folder = get(revision="v1")
    assert folder.name == SHA
    assert hub.asked[0][0] == "/api/models/lab/opt/revision/v1"
    assert get(revision=SHA) == folder
    with pytest.raises(CheckpointError, match="lab/opt at revision v2 is not in"):
        get(revision="v2", offline=True)


def test_the_token_goes_to_the_hub_and_to_no_other_host(get: Callable[..., Path], hub: Hub) -> None:
    get(token="hf_secret")
    told = {path.startswith("/lfs/"): authorization for path, authorization in hub.asked}
    assert told == {False: "Bearer hf_secret", True: None}


def test_a_connection_that_breaks_off_is_gone_on_with(
    get: Callable[..., Path], hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    folder = get("lab/cut")
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert "model.safetensors bytes=2500-" in hub.ranges
    assert "broke off after 2.5 kB of 5 kB of model.safetensors. Trying again in 1 s." in caplog.text


def test_a_program_that_is_killed_leaves_what_the_next_goes_on_with(hub: Hub, cache: Path) -> None:
    hub.seconds = 4
    first = start(hub.url, cache, "lab/slow")
    partial = cache / "models--lab--slow" / "blobs"
    while not any(path.stat().st_size for path in partial.glob(f"{'?' * 64}.incomplete")):
        time.sleep(0.02)
    first.kill()
    first.communicate()
    hub.seconds = 0
    output, log = start(hub.url, cache, "lab/slow").communicate(timeout=60)
    assert "had come before; going on." in log
    assert len(hub.ranges) == 1
    weights = Path(output.strip()) / "model.safetensors"
    assert weights.read_bytes() == hub.files["model.safetensors"]


def test_an_old_cut_file_with_wrong_bytes_is_fetched_anew(
    get: Callable[..., Path], hub: Hub, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder := get()).joinpath("model.safetensors").resolve().rename(cache / "blob")
    blob = folder.joinpath("model.safetensors").resolve()
    blob.with_name(f"{blob.name}.incomplete").write_bytes(b"wrong" * 100)
    assert (get() / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert "has wrong bytes" in caplog.text
    assert "Fetching it once more." in caplog.text


def test_wrong_bytes_are_never_served(get: Callable[..., Path], hub: Hub, cache: Path) -> None:
    sentence = (
        r"^model.safetensors of lab/changed has wrong bytes: http://\S+ promised the sha256 \w{64}, and what "
        r"came has \w{64}; it was thrown away. Check the mirror, or a proxy on the way.$"
    )
    with pytest.raises(CheckpointError, match=sentence):
        get("lab/changed")
    assert files_asked(hub).count("model.safetensors") == 2
    assert not list(cache.rglob("model.safetensors"))
    assert not list(cache.rglob("*.incomplete"))


def test_a_mirror_that_lists_names_only_is_asked_for_each_digest(
    get: Callable[..., Path], hub: Hub, cache: Path
) -> None:
    folder = get("lab/names")
    blob = (folder / "model.safetensors").resolve()
    assert len(blob.name) == 64


def test_a_model_of_another_kind_is_refused_before_its_weights_come(
    get: Callable[..., Path], hub: Hub
) -> None:
    with pytest.raises(CheckpointError, match="of type 'llama'; only OPT models"):
        get("lab/llama")
    assert files_asked(hub) == ["config.json"]


def test_while_one_program_fetches_the_others_wait_and_say_so(hub: Hub, cache: Path) -> None:
    hub.seconds = 2
    programs = [start(hub.url, cache, "lab/slow") for _ in range(3)]
    ends = [program.communicate(timeout=60) for program in programs]
    assert len({output for output, _ in ends}) == 1
    assert files_asked(hub).count("model.safetensors") == 1
    waited = [log for _, log in ends if "which fetches lab/slow" in log]
    assert len(waited) == 2


def test_the_lock_of_a_program_that_died_is_free(hub: Hub, cache: Path) -> None:
    hub.seconds = 60
    first = start(hub.url, cache, "lab/slow")
    while not any((cache / "models--lab--slow" / "blobs").glob("*.incomplete")):
        time.sleep(0.02)
    second = start(hub.url, cache, "lab/slow")
    assert second.stderr is not None
    while "which fetches lab/slow" not in (line := second.stderr.readline()):
        assert line
    hub.seconds = 0
    first.send_signal(signal.SIGKILL)
    first.communicate()
    output, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert Path(output.strip(), "model.safetensors").read_bytes() == hub.files["model.safetensors"]


def test_sigterm_ends_it_at_once(hub: Hub, cache: Path) -> None:
    hub.seconds = 60
    fetching = start(hub.url, cache, "lab/slow")
    while not any((cache / "models--lab--slow" / "blobs").glob(f"{'?' * 64}.incomplete")):
        time.sleep(0.02)
    fetching.send_signal(signal.SIGTERM)
    _, log = fetching.communicate(timeout=10)
    assert fetching.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("status", "headers", "token", "sentence"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "", "The Hub has no model lab/opt, or it is private; "),
        (404, {"X-Error-Code": "RevisionNotFound"}, "", "The Hub has no lab/opt; check the revision."),
        (401, {}, "", "The Hub has no model lab/opt, or it is private; check the id, or set HF_TOKEN."),
        (401, {}, "hf_wrong", "The Hub refused the token for lab/opt (status 401); check HF_TOKEN."),
        (403, {"X-Error-Code": "GatedRepo"}, "hf_mine", "lab/opt is given on request only; ask for access "),
        (403, {}, "hf_wrong", "The Hub refused the token for lab/opt (status 403); check HF_TOKEN."),
        (418, {}, "", "answered 418 when asked for lab/opt; check HF_ENDPOINT."),
        (503, {}, "", "answered 503 when asked for lab/opt; try again later."),
    ],
)
def test_what_the_hub_refuses_is_told_in_a_sentence(
    get: Callable[..., Path], hub: Hub, status: int, headers: dict[str, str], token: str, sentence: str
) -> None:
    hub.status, hub.headers = status, headers
    with pytest.raises(CheckpointError) as raised:
        get(token=token or None)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_hub_in_trouble_is_asked_again(
    get: Callable[..., Path], hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.status = 502
    with pytest.raises(CheckpointError, match="answered 502"):
        get()
    assert len(hub.asked) == 5
    assert caplog.text.count("Trying again in") == 4


def test_a_hub_that_is_away_is_named_and_the_exit_code_is_1(
    cache: Path,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert program.main(["lab/opt", "--into", str(cache)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"fetch: lab/opt could not be fetched: {endpoint} cannot be reached (Connection refused); check the "
        "network and HF_ENDPOINT, or bring the files in a folder."
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--into", "/x"], "fetch: The following arguments are required: model; --help lists the options."),
        (["a/b/c"], "fetch: 'a/b/c' is neither a folder nor a Hub id; "),
        (["/no/such/folder"], "fetch: There is no folder /no/such/folder; "),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(arguments) == 1
    assert sentence in capsys.readouterr().err


def test_an_endpoint_that_is_no_address_is_told(get: Callable[..., Path]) -> None:
    with pytest.raises(CheckpointError, match=r"HF_ENDPOINT is 'hub.example.org', which is no address"):
        get(endpoint="hub.example.org")


def test_another_server_than_a_hub_is_told(get: Callable[..., Path], hub: Hub) -> None:
    hub.files["config.json"] = b"{}"
    hub.status, hub.headers = 203, {}
    with pytest.raises(CheckpointError, match="does not answer as the Hub does when asked for lab/opt"):
        get()


def test_a_volume_that_is_too_small_is_told_before_the_download(
    get: Callable[..., Path], hub: Hub, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    usage = shutil.disk_usage("/")._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    sentence = f"lab/opt needs 9.01 kB, and {cache} has 5 kB free; make room, or name a larger volume."
    with pytest.raises(CheckpointError, match=sentence):
        get()
    assert files_asked(hub) == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "is full, so lab/opt could not be stored; make room, or name a larger volume."),
        (errno.EROFS, "cannot be written, so lab/opt could not be stored; name a folder that can."),
        (errno.EIO, "lab/opt could not be stored in"),
    ],
)
def test_a_disk_in_trouble_is_told_in_a_sentence(
    get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match=sentence):
        get()


def test_links_are_done_without_where_a_volume_has_none(
    get: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    folder = get()
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert get(offline=True) == folder


def test_settings_are_those_of_the_hubs_own_client(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_stored\n")
    home = {"HF_HOME": str(tmp_path)}
    assert HubSettings.read(None, home) == HubSettings(tmp_path / "hub", token="hf_stored")
    told = {"HF_HUB_CACHE": "/c", "HF_TOKEN": "t", "HF_ENDPOINT": "http://m/", "HF_HUB_OFFLINE": "1"}
    assert HubSettings.read(None, home | told) == HubSettings(Path("/c"), "http://m", "t", True)
    assert HubSettings.read("/given", home | told).cache == Path("/given")


def test_progress_is_one_line_for_a_tenth(caplog: pytest.LogCaptureFixture) -> None:
    lines = program.ProgressLines()
    with caplog.at_level(logging.INFO):
        for number in range(1001):
            lines("downloading", number / 1000)
    assert len(caplog.messages) == 11
    assert caplog.messages[5] == "downloading: 50%"
