"""What `helm test` runs: asks the installed release for real answers, as its clients do.

Environment: ADAPTER_URL, DEMO_URL (empty without a page), MODELS (a JSON list of ids), KEYS_DIR (a folder
with one key in each file), KEYS_SECRET, NAMESPACE and RELEASE (for the advice). Prints one line for each
check; where one failed it adds what `openaisle doctor` finds, and ends with status 1. Needs Python's standard
library only.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

ADAPTER_URL = os.environ["ADAPTER_URL"]
DEMO_URL = os.environ.get("DEMO_URL", "")
MODELS = json.loads(os.environ["MODELS"])
NAMESPACE, RELEASE = os.environ["NAMESPACE"], os.environ["RELEASE"]
OPT_PODS = f"-n {NAMESPACE} -l app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=opt"
PROMPT = "Once upon a time"

# Models that still load are waited for, all checks together this long.
DEADLINE = time.monotonic() + float(os.environ.get("LOAD_TIMEOUT_S", "120"))
# Not ready by then; the other checks don't ask these again, since the gateway may wait for them, too.
not_ready: set[str] = set()


class CheckFailed(Exception):
    """A check found something else than it should; the text says what and the likely cause."""


def read_key() -> str:
    folder = pathlib.Path(os.environ["KEYS_DIR"])
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_file() and not path.name.startswith("."):
            return path.read_text().strip()
    secret = os.environ["KEYS_SECRET"]
    raise CheckFailed(
        f"the Secret {secret} is missing or has no entry; make it: "
        f"kubectl -n {NAMESPACE} create secret generic {secret} --from-literal=default=sk-..."
    )


def ask(url: str, body: dict | None = None, key: str | None = None) -> tuple[int, str]:
    """Returns status and text of an answer, also of a refusal; waits while models still load (503)."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    while True:
        request = urllib.request.Request(url, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=90) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > DEADLINE:
                return error.code, error.read().decode()
        except OSError as error:
            if time.monotonic() > DEADLINE:
                raise CheckFailed(
                    f"{url} cannot be reached ({error}); see: "
                    f"kubectl -n {NAMESPACE} get pods,services,networkpolicies"
                ) from error
        time.sleep(1)


def ask_model(model: str, key: str, **settings: object) -> str:
    """The text of a model's answer with status 200."""
    if model in not_ready:
        raise CheckFailed(f"{model} isn't ready, see above")
    status, text = ask(f"{ADAPTER_URL}/v1/completions", {"model": model, "prompt": PROMPT, **settings}, key)
    if status == 503:
        not_ready.add(model)
    expect(status, 200, text, f"no replica of {model} is ready: kubectl describe pods {OPT_PODS}")
    return text


def expect(status: int, wanted: int, text: str, cause: str) -> None:
    if status != wanted:
        raise CheckFailed(f"status {status} instead of {wanted}: {text[:300].strip()}; {cause}")


def each_model(ask_one, key: str) -> None:
    """Asks every model, also when one fails, and names all that did."""
    failures = []
    for model in MODELS:
        try:
            ask_one(model, key)
        except CheckFailed as error:
            failures.append(str(error))
    if failures:
        raise CheckFailed(" | ".join(failures))


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
    def complete(model: str, key: str) -> None:
        text = ask_model(model, key, max_tokens=8, temperature=0)
        if not json.loads(text)["choices"][0]["text"]:
            raise CheckFailed(f"{model} answered with an empty text: {text[:300]}")

    each_model(complete, key)


def check_stream_ends_in_done(key: str) -> None:
    def stream(model: str, key: str) -> None:
        text = ask_model(model, key, max_tokens=8, stream=True)
        if not text.rstrip().endswith("data: [DONE]"):
            raise CheckFailed(f"the stream of {model} was cut: ...{text[-200:]!r}; kubectl logs {OPT_PODS}")

    each_model(stream, key)


def check_echo_gives_logprobs(key: str) -> None:
    def score(model: str, key: str) -> None:
        text = ask_model(model, key, max_tokens=0, echo=True, logprobs=1)
        token_logprobs = json.loads(text)["choices"][0]["logprobs"]["token_logprobs"]
        if len(token_logprobs) < 2 or any(value is None for value in token_logprobs[1:]):
            raise CheckFailed(f"{model}: log-probabilities are missing: {token_logprobs}")

    each_model(score, key)


def check_strangers_are_refused(key: str) -> None:
    for stranger in (None, "sk-not-a-key"):
        status, text = ask(f"{ADAPTER_URL}/v1/models", key=stranger)
        expect(status, 401, text, "anyone may use the models: see the gateway's --keys-dir")


def check_page(key: str) -> None:
    status, text = ask(f"{DEMO_URL}/")
    expect(status, 200, text, f"see the page's pod: kubectl -n {NAMESPACE} get pods")
    status, text = ask(f"{DEMO_URL}/v1/models", key=key)
    expect(status, 200, text, "the page's proxy doesn't reach the gateway; see the page's log")


CHECKS = {
    "models": check_models_are_listed,
    "completion": check_completion,
    "stream": check_stream_ends_in_done,
    "echo logprobs": check_echo_gives_logprobs,
    "401 without key": check_strangers_are_refused,
}
if DEMO_URL:
    CHECKS["page"] = check_page


def doctors_findings() -> list[str]:
    """What `openaisle doctor` has against the release, in lines; how to ask it, where it isn't to be had."""
    command = ["openaisle", "doctor", "--json", f"--adapter-url={ADAPTER_URL}", "--skip-completion"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        findings = json.loads(result.stdout)["findings"]
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return [f"see also: kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp"]
    lines = ["What `openaisle doctor` finds:"]
    for finding in findings:
        if finding["status"] in ("fail", "warn"):
            lines.append(
                f"{finding['status']}  {finding['check']}: {finding['text']}\n      -> {finding['cure']}"
            )
    return lines if len(lines) > 1 else []


def main() -> int:
    failed = 0
    for name, check in CHECKS.items():
        began = time.monotonic()
        try:
            check(read_key())
        except CheckFailed as error:
            failed += 1
            print(f"FAIL  {name}: {error}", flush=True)
        except (ValueError, LookupError, TypeError) as error:
            failed += 1
            print(f"FAIL  {name}: the answer isn't what it should be ({error!r})", flush=True)
        else:
            print(f"ok    {name} ({time.monotonic() - began:.1f} s)", flush=True)
    if failed:
        print("", *doctors_findings(), sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
