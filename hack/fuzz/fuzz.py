"""Requests made up by schemathesis from the OpenAPI document, against a model server or a gateway.

An answer is a failure when its status is 500 or higher, when the document does not have its status,
content type, headers or body, when it takes what the document forbids, or when it needs no key where the
document says that it does.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "images/adapter/openaisle_adapter/docs/openapi.json"
UNKNOWN_MODEL = "no/such-model"
LARGEST_TOKEN_ID = 60_000
"""Beyond the vocabulary of every OPT model, so that unknown ids are tried too."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
# Left out: positive_data_acceptance, since no schema can say how many tokens a text has.


class FuzzError(Exception):
    """The run cannot begin; the text is a sentence for the user."""


def main() -> int:
    options = read_arguments()
    try:
        models = served_models(options.url, options.key)
    except FuzzError as error:
        print(f"hack/fuzz/api: {error}", file=sys.stderr)
        return 1
    document = fitted(json.loads(DOCUMENT.read_text(encoding="utf-8")), models, options.key)
    with tempfile.TemporaryDirectory(prefix="openaisle-fuzz-") as folder:
        # The tool keeps its notes in the folder that it runs in.
        (pathlib.Path(folder) / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "short_work"}
        return subprocess.run(command(options), cwd=folder, env=environment, check=False).returncode


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hack/fuzz/api", description=__doc__.splitlines()[0])
    parser.add_argument("url", help="of the gateway or the model server, such as http://127.0.0.1:8080")
    parser.add_argument("--key", help="an API key; without one the model server itself is meant")
    parser.add_argument("--examples", type=int, default=100, help="for each route (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the requests (default: %(default)s)")
    options = parser.parse_args()
    options.url = options.url.rstrip("/").removesuffix("/v1")
    return options


def served_models(url: str, key: str | None) -> dict[str, int]:
    """The models behind the address, and how many tokens fit into the context of each.

    Raises:
        FuzzError: it does not answer, or not to this key.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/models", headers=headers)) as answer:
            return {model["id"]: model["max_model_len"] for model in json.load(answer)["data"]}
    except urllib.error.HTTPError as error:
        with error:
            raise FuzzError(
                f"{url}/v1/models answers {error.code}; give the gateway's key with --key"
            ) from None
    except (OSError, ValueError) as error:
        raise FuzzError(f"{url} does not answer ({error}); start one with hack/run") from error


def fitted(document: dict[str, Any], models: dict[str, int], key: str | None) -> dict[str, Any]:
    """The document of this installation: its models, and no more than fits into their context."""
    schemas = document["components"]["schemas"]
    names = [*models, UNKNOWN_MODEL]
    document["components"]["parameters"]["model"]["schema"] = {"enum": names}
    for name in ("TokenizeRequest", "TokenizeChatRequest", "DetokenizeRequest"):
        schemas[name]["properties"]["model"] = {"enum": [*names, None]}
    schemas["TokenId"]["maximum"] = LARGEST_TOKEN_ID
    completion = schemas["CreateCompletionRequest"]["properties"]
    completion["model"] = {"enum": names}
    chat = schemas["CreateChatCompletionRequest"]["properties"]
    for field in (completion["max_tokens"], chat["max_tokens"], chat["max_completion_tokens"]):
        field["maximum"] = max(models.values())
    if key is None:
        document["security"] = []
        # The model server has no pages.
        del document["paths"]["/openapi.json"]
    return document


def command(options: argparse.Namespace) -> list[str]:
    checks = [*CHECKS, "ignored_auth"] if options.key else CHECKS
    arguments = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", f"--url={options.url}"]
    arguments += [f"--max-examples={options.examples}", f"--seed={options.seed}"]
    arguments += [f"--checks={','.join(checks)}", "--phases=examples,coverage,fuzzing", "--warnings=off"]
    arguments += ["--request-timeout=60", "--suppress-health-check=all"]
    return arguments + ([f"--header=Authorization: Bearer {options.key}"] if options.key else [])


if __name__ == "__main__":
    sys.exit(main())
