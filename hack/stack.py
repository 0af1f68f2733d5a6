"""The whole of OpenAISLE on one machine: model server, adapter and page, started and ended together.

hack/run calls this inside its virtual environment. Standard library only, so that `--help` works
with any Python.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import dataclasses
import json
import os
import pathlib
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
POLL_S = 0.1
# Answers that are under way at Ctrl-C may finish in this time; a second Ctrl-C ends them at once.
GRACE_S = 30
LOG_LINES_SHOWN = 10


class StackError(Exception):
    """What went wrong, in one sentence for the person at the terminal."""


@dataclasses.dataclass
class Part:
    """One running program of the stack and the file that holds what it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: pathlib.Path
    stop_signal: signal.Signals = signal.SIGTERM

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-LOG_LINES_SHOWN:]
        return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"


class Stack:
    """The parts that run, in the order in which they were started."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.parts: list[Part] = []
        self.stopping = threading.Event()
        self.hurry = threading.Event()

    def on_signal(self, *_: object) -> None:
        """The first signal asks for an end, the second for one at once."""
        if self.stopping.is_set():
            self.hurry.set()
        self.stopping.set()

    def start(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        log = self.folder / f"{name}.log"
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | (environment or {}),
                # Ctrl-C in the terminal must reach this program alone, which then ends the parts in order.
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        self.parts.append(Part(name, process, log, stop_signal))

    def check(self) -> None:
        """Raises StackError when a part has ended by itself."""
        for part in self.parts:
            code = part.process.poll()
            if code is not None:
                how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
                raise StackError(f"{part.name} has ended ({how}); its last words:\n{part.last_words()}")

    def wait_until(self, ready: Callable[[], bool]) -> bool:
        """False when a signal came first."""
        while not ready():
            self.check()
            if self.stopping.wait(POLL_S):
                return False
        return True

    def end(self) -> None:
        """Asks the parts to end from the page inwards, so that none loses the one it talks to."""
        for part in reversed(self.parts):
            if part.process.poll() is None:
                part.process.send_signal(part.stop_signal)
            deadline = time.monotonic() + GRACE_S
            while part.process.poll() is None and time.monotonic() < deadline and not self.hurry.wait(POLL_S):
                pass
        for part in self.parts:
            # The leader may be gone while a child of it lingers.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(part.process.pid, signal.SIGKILL)
            part.process.wait()


def say(text: str) -> None:
    """Tell the person at the terminal, who may be gone: Ctrl-C ends the tee of `hack/run | tee log` first."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def die_with_parent() -> None:
    """In a child, on Linux: get SIGTERM when this program is gone, even by SIGKILL."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


def check_port_is_free(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise StackError(
            f"port {port} cannot be used ({os.strerror(error.errno or 0)}); choose another one with --port"
        ) from error


# A proxy for the outside world, as http_proxy names one, knows nothing of the ports of this machine.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get_json(url: str, key: str | None = None) -> tuple[int, dict[str, object]]:
    """Status and JSON body; status 0 when nobody answers."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with DIRECTLY.open(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error, contextlib.suppress(ValueError):
            return error.code, json.load(error)
        return error.code, {}
    except (OSError, ValueError):
        return 0, {}


def find_nginx() -> str | None:
    """Debian keeps nginx where only root's PATH looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hack/run", description="Runs OpenAISLE on this machine: model server, adapter and page."
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="of the page and the API (default: %(default)s)"
    )
    parser.add_argument(
        "--model",
        metavar="DIR-OR-ID",
        help="a folder with an OPT checkpoint or its id on the Hugging Face Hub (default: the bundled model)",
    )
    parser.add_argument(
        "--api-key", metavar="KEY", help="the key that clients must send (default: a new one)"
    )
    parser.add_argument(
        "--no-nginx", action="store_true", help="let the adapter serve the page even where nginx is installed"
    )
    parser.add_argument(
        "--check", action="store_true", help="only see that the options and the port can be used"
    )
    options = parser.parse_args(arguments)
    if not 0 < options.port < 65536:
        raise StackError(f"--port must be between 1 and 65535, not {options.port}")
    key = options.api_key
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise StackError("--api-key must be printable ASCII without spaces, and not empty")
    check_port_is_free(options.port)
    return options


def start_parts(stack: Stack, options: argparse.Namespace, key: str) -> str:
    """Starts all parts; returns the model server's own address."""
    opt_port = free_port()
    opt_url = f"http://{HOST}:{opt_port}"
    opt = [sys.executable, str(ROOT / "images/opt/serve-opt.py"), "--host", HOST, "--port", str(opt_port)]
    stack.start("opt", opt + ([] if options.model is None else ["--model", options.model]))

    nginx = None if options.no_nginx else find_nginx()
    adapter_port = free_port() if nginx else options.port
    adapter = [sys.executable, str(ROOT / "images/adapter/serve-adapter.py")]
    adapter += ["--host", HOST, "--port", str(adapter_port), "--backend", opt_url]
    if not nginx:
        adapter += ["--page-dir", str(ROOT / "images/demo/static")]
    # In the environment, since a command line can be read by every user of the machine.
    stack.start("adapter", adapter, {"OPENAISLE_API_KEY": key})

    if nginx:
        environment = {
            "PATH": f"{pathlib.Path(nginx).parent}:{os.environ['PATH']}",
            "HOST": HOST,
            "PORT": str(options.port),
            "ADAPTER_URL": f"http://{HOST}:{adapter_port}",
            "TMP_DIR": str(stack.folder / "nginx"),
        }
        stack.start("page", [str(ROOT / "images/demo/entrypoint.sh")], environment, signal.SIGQUIT)
    return opt_url


def wait_for_model(stack: Stack, opt_url: str) -> bool:
    """Shows what the model server is doing until it is ready; False when a signal came first."""
    shown = ""

    def ready() -> bool:
        nonlocal shown
        status, health = get_json(f"{opt_url}/health/ready")
        phase = health.get("phase")
        fraction = health.get("fraction")
        words = str(phase or "") + (f" ({fraction:.0%})" if isinstance(fraction, (int, float)) else "")
        if words and words != shown and status != 200:
            say(f"  model: {words}")
            shown = words
        return status == 200

    return stack.wait_until(ready)


def run(options: argparse.Namespace, stack: Stack) -> None:
    """Returns after a signal; raises StackError when something goes wrong before one."""
    begun_s = time.monotonic()
    key = options.api_key or f"sk-{secrets.token_urlsafe(24)}"
    address = f"http://{HOST}:{options.port}"

    say(f"Starting OpenAISLE (logs: {stack.folder}) ...")
    opt_url = start_parts(stack, options, key)
    models: dict[str, object] = {}

    def answers() -> bool:
        nonlocal models
        status, models = get_json(f"{address}/v1/models", key)
        return status == 200 and bool(models.get("data"))

    if wait_for_model(stack, opt_url) and stack.wait_until(answers):
        say(welcome(address, key, models, time.monotonic() - begun_s))
        stack.wait_until(lambda: False)


def welcome(address: str, key: str, models: dict[str, object], seconds: float) -> str:
    """What a person needs next: the page, the key, and a request that works when pasted."""
    model = models["data"][0]["id"]  # type: ignore[index]
    body = json.dumps({"model": model, "prompt": "Once upon a time", "max_tokens": 40})
    proxied = urllib.request.getproxies().get("http") and not urllib.request.proxy_bypass(HOST)
    curl = f"curl {f'--noproxy {HOST} ' if proxied else ''}{address}/v1/completions"
    curl += f" -H {shlex.quote(f'Authorization: Bearer {key}')}"
    curl += f" -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    return f"""
OpenAISLE is ready ({seconds:.1f} s). Ctrl-C ends it.

  page   {address}/
  docs   {address}/docs/
  key    {key}
  model  {model}

{curl}
"""


def main(arguments: list[str] | None = None) -> int:
    with tempfile.TemporaryDirectory(prefix="openaisle-") as folder:
        stack = Stack(pathlib.Path(folder))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has SIGHUP ignored, so that the stack outlives its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, stack.on_signal)
        try:
            options = read_arguments(arguments)
            if options.check:
                return 0
            run(options, stack)
        except StackError as error:
            print(f"hack/run: {error}", file=sys.stderr)
            return 1
        finally:
            stack.end()
    say("OpenAISLE has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
