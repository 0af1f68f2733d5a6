"""The OpenAPI document: valid, complete, and with examples that are what they claim to be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openaisle_adapter import __version__
from openaisle_adapter.docs import documentation_files, openapi_document
from openaisle_adapter.routes.relayed import COMPLETIONS, TOKENIZER, TOKENIZER_INFO
from openapi_spec_validator import validate

DOCUMENT: dict[str, Any] = json.loads(openapi_document())
OPERATIONS = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator for a part of the document; its references lead into the whole."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def resolve(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to; the part itself if it is none."""
    while "$ref" in part:
        target: Any = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name.replace("~1", "/")]
        part = target
    return part


def examples() -> Iterator[Any]:
    """Every example of a body, with its schema, under a name that says where it is."""
    for path, method, operation in OPERATIONS:
        bodies = [("request", resolve(operation.get("requestBody", {})))]
        bodies += [(status, resolve(response)) for status, response in operation["responses"].items()]
        for where, body in bodies:
            for media in body.get("content", {}).values():
                for name, example in media.get("examples", {}).items():
                    yield pytest.param(
                        media["schema"], example["value"], id=f"{method} {path} {where} {name}"
                    )


def test_the_document_is_valid_openapi_3_1() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["version"] == __version__


@pytest.mark.parametrize(("schema", "value"), list(examples()))
def test_an_example_is_what_its_schema_says(schema: dict[str, Any], value: Any) -> None:
    validator(schema).validate(value)


def test_every_body_has_an_example() -> None:
    for path, method, operation in OPERATIONS:
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in map(resolve, bodies):
            for media in body.get("content", {}).values():
                assert media.get("examples"), f"{method} {path}"


def test_the_stream_of_the_example_is_made_of_completions() -> None:
    media = DOCUMENT["paths"]["/v1/completions"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    events = media["examples"]["stream"]["value"].split("\n\n")[:-1]
    assert events.pop() == "data: [DONE]"
    schema = validator({"$ref": "#/components/schemas/CreateCompletionResponse"})
    for event in events:
        schema.validate(json.loads(event.removeprefix("data: ")))


def test_every_route_to_a_model_server_is_described() -> None:
    for route in (*COMPLETIONS, *TOKENIZER, *TOKENIZER_INFO):
        path = re.sub(r"<\w+:path>", "{model}", route)
        if path not in DOCUMENT["paths"]:
            (operation,) = DOCUMENT["paths"][path.removeprefix("/v1")].values()
            assert "Also below `/v1`." in operation["description"]


def test_operations_are_named_as_openais() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    assert {"createCompletion", "listModels", "retrieveModel"} <= set(ids)


def test_every_error_is_described_in_openais_shape() -> None:
    for path, _, operation in OPERATIONS:
        if path.startswith("/health"):
            continue
        for status, response in operation["responses"].items():
            if status != "200":
                schema = resolve(response)["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorResponse"}
    statuses = DOCUMENT["paths"]["/v1/completions"]["post"]["responses"].keys()
    assert {"400", "401", "403", "404", "405", "413", "415", "429", "500", "503", "504"} <= statuses


def test_the_key_goes_as_bearer_or_as_a_basic_password() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert [schemes[name]["scheme"] for name in ("bearerAuth", "basicAuth")] == ["bearer", "basic"]


def test_the_servers_address_is_relative() -> None:
    assert [server["url"] for server in DOCUMENT["servers"]] == ["./"]


def test_the_page_names_no_other_host_and_has_no_inline_script() -> None:
    files = documentation_files()
    page = files["index.html"].decode()
    assert "<script>" not in page
    assert "style=" not in page
    for name in ("index.html", "start.js", "theme.js", "docs.css"):
        assert b"http" not in files[name]
