"""The CustomResourceDefinition of OPTModels, made from values.schema.json's definition of a model.

hack/chart-docs writes it to charts/openaisle/files/optmodels.yaml, so that a key of a model is a field of an
OPTModel too.
"""

from __future__ import annotations

from typing import Any

import yaml

Schema = dict[str, Any]

HEADER = "# Made by hack/chart-docs from values.schema.json.\n"
PLAIN = ("type", "description", "pattern", "minLength", "minimum", "maximum", "exclusiveMinimum", "minItems")
IGNORED = (
    "additionalProperties",
    "patternProperties",
    "uniqueItems",
    "properties",
    "items",
    "enum",
    "required",
)
"""Handled on their own, or not known to Kubernetes; the operator checks values.schema.json itself anyway."""


def definition(values_schema: Schema) -> str:
    """The CustomResourceDefinition as YAML.

    Raises:
        ValueError: the schema uses a word that has no counterpart here.
    """
    model = values_schema["properties"]["models"]["items"]
    spec = structural({**model, "properties": {**model["properties"]}}, values_schema)
    # An OPTModel's name is the object's own.
    del spec["properties"]["name"]
    spec.pop("required", None)
    spec["description"] = (
        "The model to serve: the keys of an entry of the chart's `models`, by the same defaults."
    )
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": "A model that OpenAISLE's operator serves.",
                "properties": {"spec": spec, "status": STATUS},
            }
        },
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": COLUMNS,
    }
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "optmodels.openaisle.io"},
        "spec": {
            "group": "openaisle.io",
            "names": {
                "kind": "OPTModel",
                "listKind": "OPTModelList",
                "plural": "optmodels",
                "singular": "optmodel",
                "shortNames": ["optm"],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    return HEADER + yaml.safe_dump(crd, sort_keys=False, width=110, allow_unicode=True)


def structural(node: Schema, root: Schema) -> Schema:
    """The schema in the form that Kubernetes wants: without references, and with one type for each value."""
    node = _resolved(node, root)
    unknown = node.keys() - set(PLAIN) - set(IGNORED) - {"anyOf", "$defs"}
    if unknown:
        raise ValueError(f"hack/crd.py doesn't know {', '.join(sorted(unknown))} of values.schema.json")
    made = {key: node[key] for key in PLAIN if key in node}
    if "anyOf" in node:
        # A value of several types, such as a name or a list of names, is checked by the operator.
        return {**made, "x-kubernetes-preserve-unknown-fields": True}
    if "enum" in node:
        made |= {"type": "string", "enum": node["enum"]}
    if "required" in node:
        made["required"] = list(node["required"])
    if "items" in node:
        made["items"] = structural(node["items"], root)
    if "properties" in node:
        made["properties"] = {key: structural(child, root) for key, child in node["properties"].items()}
    if made.get("type") == "object":
        others = node.get("additionalProperties", True)
        if isinstance(others, dict):
            made["additionalProperties"] = structural(others, root)
        elif others:
            made["x-kubernetes-preserve-unknown-fields"] = True
    return made


def _resolved(node: Schema, root: Schema) -> Schema:
    """The node with what it refers to; its own words win."""
    references = [node] if "$ref" in node else node.get("allOf", [])
    resolved: Schema = {}
    for reference in references:
        target: Any = root
        for key in reference["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        resolved |= _resolved(target, root)
    return resolved | {key: value for key, value in node.items() if key not in ("$ref", "allOf")}


def _string(description: str) -> Schema:
    return {"type": "string", "description": description}


def _integer(description: str) -> Schema:
    return {"type": "integer", "description": description}


STATUS: Schema = {
    "type": "object",
    "description": "What the operator sees.",
    "properties": {
        "observedGeneration": _integer("The generation of the spec that this tells of."),
        "replicas": _integer("Pods that are there."),
        "readyReplicas": _integer("Pods that answer."),
        "selector": _string("Labels of the pods, for the scale subresource."),
        "gpuFamily": _string("The preferred GPU family."),
        "servedName": _string("The name that clients use."),
        "conditions": {
            "type": "array",
            "description": "Accepted: the model can be made as written. Ready: all its replicas answer.",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status", "reason", "message", "lastTransitionTime"],
                "properties": {
                    "type": _string("Accepted or Ready."),
                    "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                    "reason": _string("One word, for programs."),
                    "message": _string("A sentence, for people."),
                    "observedGeneration": _integer("The generation of the spec that this tells of."),
                    "lastTransitionTime": {"type": "string", "format": "date-time"},
                },
            },
        },
    },
}

COLUMNS = [
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Replicas", "type": "integer", "jsonPath": ".status.readyReplicas"},
    {"name": "Family", "type": "string", "jsonPath": ".status.gpuFamily"},
    {"name": "Reason", "type": "string", "jsonPath": '.status.conditions[?(@.status=="False")].reason'},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Model", "type": "string", "priority": 1, "jsonPath": ".status.servedName"},
    {
        "name": "Message",
        "type": "string",
        "priority": 1,
        "jsonPath": '.status.conditions[?(@.status=="False")].message',
    },
]
