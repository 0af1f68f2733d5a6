"""The script that `helm test` runs, against servers that behave well or badly in one way."""

import http.server
import json
import subprocess
import sys
import threading

import pytest

KEY = "sk-right"
DIAGNOSIS = {
    "findings": [
        {"status": "ok", "check": "dns", "text": "names are resolved", "cure": ""},
        {
            "status": "fail",
            "check": "pods",
            "text": "model m: the pod m-0 is Pending: 0/2 nodes are available",
            "cure": "no node of the family kepler has room",
        },
    ]
}


class Gateway(http.server.BaseHTTPRequestHandler):
    """Answers as the gateway does; `faults` of the server names what it does wrong."""

    def log_message(self, *arguments):
        pass

    def send(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        if self.path == "/":
            return self.send(200, "<html>")
        if self.headers["Authorization"] != f"Bearer {KEY}" and "open" not in self.server.faults:
            return self.send(401, '{"error": {"message": "no key"}}')
        models = [] if "empty" in self.server.faults else [{"id": "lab/opt"}]
        return self.send(200, json.dumps({"data": models}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        faults = self.server.faults
        if "not ready" in faults:
            return self.send(503, '{"error": {"message": "no replica is ready"}}')
        if "nonsense" in faults:
            return self.send(200, "{}")
        if body.get("stream"):
            return self.send(
                200, 'data: {"choices": []}\n\n' + ("" if "cut" in faults else "data: [DONE]\n\n")
            )
        logprobs = {"token_logprobs": [None] if "no logprobs" in faults else [None, -1.0]}
        text = "" if "silent" in faults else " there was"
        return self.send(200, json.dumps({"choices": [{"text": text, "logprobs": logprobs}]}))


@pytest.fixture
def check(chart, tmp_path):
    """check(*faults) -> exit code and printed lines of the script."""
    servers = []
    keys, programs = tmp_path / "keys", tmp_path / "programs"
    keys.mkdir()
    programs.mkdir()
    (keys / "default").write_text(KEY)
    doctor = programs / "openaisle"
    doctor.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(DIAGNOSIS)}\nEND\nexit 1\n")
    doctor.chmod(0o755)

    def run(*faults):
        if "no key" in faults:
            (keys / "default").unlink()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        server.faults = faults
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        result = subprocess.run(
            [sys.executable, chart / "files" / "test_release.py"],
            env={
                "ADAPTER_URL": url,
                "DEMO_URL": url,
                "MODELS": '["lab/opt"]',
                "KEYS_DIR": str(keys),
                "KEYS_SECRET": "openaisle-keys",
                "PATH": "/usr/bin:/bin" if "no doctor" in faults else f"{programs}:/usr/bin:/bin",
                "NAMESPACE": "lab",
                "RELEASE": "openaisle",
                "LOAD_TIMEOUT_S": "0",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        return result.returncode, result.stdout.splitlines()

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def test_all_is_well(check):
    status, lines = check()
    assert status == 0
    assert [line.split("(")[0].split() for line in lines] == [
        ["ok", "models"],
        ["ok", "completion"],
        ["ok", "stream"],
        ["ok", "echo", "logprobs"],
        ["ok", "401", "without", "key"],
        ["ok", "page"],
    ]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            "empty",
            "FAIL  models: lab/opt isn't among []; its pod may not be ready: kubectl describe pods -n lab -l",
        ),
        ("not ready", "FAIL  completion: status 503 instead of 200: "),
        ("silent", "FAIL  completion: lab/opt answered with an empty text"),
        ("cut", "FAIL  stream: the stream of lab/opt was cut"),
        ("no logprobs", "FAIL  echo logprobs: lab/opt: log-probabilities are missing"),
        ("nonsense", "FAIL  completion: the answer isn't what it should be"),
        ("open", "FAIL  401 without key: status 200 instead of 401"),
    ],
)
def test_a_fault_is_named_with_its_likely_cause(check, fault, line):
    status, lines = check(fault)
    assert status == 1
    assert any(printed.startswith(line) for printed in lines), lines


def test_what_failed_is_followed_by_what_the_doctor_finds(check):
    _, lines = check("not ready")
    report = lines[lines.index("What `openaisle doctor` finds:") + 1 :]
    assert report == [
        "fail  pods: model m: the pod m-0 is Pending: 0/2 nodes are available",
        "      -> no node of the family kepler has room",
    ]


def test_all_is_well_without_asking_the_doctor(check):
    _, lines = check()
    assert not [line for line in lines if "doctor" in line]


def test_an_image_without_the_doctor_leaves_a_command(check):
    _, lines = check("cut", "no doctor")
    assert lines[-1] == "see also: kubectl -n lab get events --sort-by=.lastTimestamp"


def test_a_missing_key_is_named_with_the_command_that_makes_it(check):
    status, lines = check("no key")
    assert status == 1
    assert lines[0] == (
        "FAIL  models: the Secret openaisle-keys is missing or has no entry; make it: "
        "kubectl -n lab create secret generic openaisle-keys --from-literal=default=sk-..."
    )


def test_a_model_that_is_not_ready_is_asked_once(check):
    """The gateway may hold a request for such a model for a minute."""
    _, lines = check("not ready")
    assert "FAIL  stream: lab/opt isn't ready, see above" in lines
