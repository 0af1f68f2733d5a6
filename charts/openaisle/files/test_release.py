"""What `helm test` runs: asks the installed release for real answers, as its clients do.

Environment: ADAPTER_URL, DEMO_URL (empty without a page), MODELS (a JSON list of ids), KEYS_DIR (a folder
with one key in each file), NAMESPACE and RELEASE (for the advice). Prints one line for each check and ends
with status 1 if one failed. Needs Python's standard library only.
"""

import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

ADAPTER_URL = os.environ["ADAPTER_URL"]
DEMO_URL = os.environ.get("DEMO_URL", "")
MODELS = json.loads(os.environ["MODELS"])
OPT_PODS = (
    f"-n {os.environ['NAMESPACE']} -l app.kubernetes.io/component=opt,"
    f"app.kubernetes.io/instance={os.environ['RELEASE']}"
)
LOAD_TIMEOUT_S = float(os.environ.get("LOAD_TIMEOUT_S", "120"))


class CheckFailed(Exception):
    """A check found something else than it should; the text says what and the likely cause."""


def read_key() -> str:
    for path in sorted(pathlib.Path(os.environ["KEYS_DIR"]).iterdir()):
        if path.is_file() and not path.name.startswith("."):
            return path.read_text().strip()
    raise CheckFailed("the keys' Secret is empty; add an entry whose value is a key")


def ask(url: str, body: dict | None = None, key: str | None = None) -> tuple[int, str]:
    """Returns status and text of an answer, also of a refusal; waits while models still load (503)."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    deadline = time.monotonic() + LOAD_TIMEOUT_S
    while True:
        request = urllib.request.Request(url, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                return error.code, error.read().decode()
        except OSError as error:
            if time.monotonic() > deadline:
                raise CheckFailed(f"{url} cannot be reached ({error}); see kubectl get pods,svc") from error
        time.sleep(1)


def expect(status: int, wanted: int, text: str, cause: str) -> None:
    if status != wanted:
        raise CheckFailed(f"status {status} instead of {wanted}: {text[:300]}; {cause}")


def check_models_are_listed(key: str) -> None:
    status, text = ask(f"{ADAPTER_URL}/v1/models", key=key)
    expect(status, 200, text, "the key in the Secret isn't the one that the gateway reads")
    listed = [model["id"] for model in json.loads(text)["data"]]
    for model in MODELS:
        if model not in listed:
            raise CheckFailed(
                f"{model} isn't among {listed}; its pod may not be ready: kubectl describe pods {OPT_PODS}"
            )


def check_completion(key: str) -> None:
    for model in MODELS:
        body = {"model": model, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}
        status, text = ask(f"{ADAPTER_URL}/v1/completions", body, key)
        expect(status, 200, text, f"no replica of {model} is ready: kubectl logs {OPT_PODS}")
        if not json.loads(text)["choices"][0]["text"]:
            raise CheckFailed(f"{model} answered with an empty text: {text[:300]}")


def check_stream_ends_in_done(key: str) -> None:
    for model in MODELS:
        body = {"model": model, "prompt": "Once upon a time", "max_tokens": 8, "stream": True}
        status, text = ask(f"{ADAPTER_URL}/v1/completions", body, key)
        expect(status, 200, text, f"no replica of {model} is ready: kubectl logs {OPT_PODS}")
        if not text.rstrip().endswith("data: [DONE]"):
            raise CheckFailed(f"the stream of {model} was cut: ...{text[-200:]!r}; kubectl logs {OPT_PODS}")


def check_echo_gives_logprobs(key: str) -> None:
    for model in MODELS:
        body = {"model": model, "prompt": "The sun is", "max_tokens": 0, "echo": True, "logprobs": 1}
        status, text = ask(f"{ADAPTER_URL}/v1/completions", body, key)
        expect(status, 200, text, "the engine doesn't score prompts")
        token_logprobs = json.loads(text)["choices"][0]["logprobs"]["token_logprobs"]
        if len(token_logprobs) < 2 or any(value is None for value in token_logprobs[1:]):
            raise CheckFailed(f"log-probabilities are missing: {token_logprobs}")


def check_missing_key_is_refused(key: str) -> None:
    status, text = ask(f"{ADAPTER_URL}/v1/models")
    expect(status, 401, text, "anyone may use the models: see the gateway's --keys-dir")


def check_page(key: str) -> None:
    if not DEMO_URL:
        return
    status, text = ask(f"{DEMO_URL}/")
    expect(status, 200, text, "see the demo's pod")
    status, text = ask(f"{DEMO_URL}/v1/models", key=key)
    expect(status, 200, text, "the page's proxy doesn't reach the gateway; see the demo's log")


CHECKS = {
    "models": check_models_are_listed,
    "completion": check_completion,
    "stream": check_stream_ends_in_done,
    "echo logprobs": check_echo_gives_logprobs,
    "401 without key": check_missing_key_is_refused,
    "page": check_page,
}


def main() -> int:
    failed = 0
    for name, check in CHECKS.items():
        began = time.monotonic()
        try:
            check(read_key())
        except CheckFailed as error:
            failed += 1
            print(f"FAIL  {name}: {error}", flush=True)
        else:
            print(f"ok    {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
