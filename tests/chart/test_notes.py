"""The lines that helm prints after an install, ready to copy."""

import os
import pathlib
import re
import subprocess

import pytest

from tests.chart.conftest import model

GOLDEN = pathlib.Path(__file__).with_name("golden") / "notes"
GIVEN_KEYS = {"auth": {"keys": {"alice.b": "sk-12345678"}}}

# Each branch of NOTES.txt is in one of these: name -> values, flags of helm.
BRANCHES = {
    "default": ({}, []),
    "upgrade": ({}, ["--is-upgrade"]),
    "https": (
        {"ingress": {"host": "llm.example.org", "pathPrefix": "/opt", "tls": {"enabled": True}}} | GIVEN_KEYS,
        [],
    ),
    "gateway": (
        {
            "ingress": {"enabled": False},
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}]},
            "auth": {"existingSecret": "ours", "keys": {"alice": "sk-12345678"}},
        },
        [],
    ),
    "gateway-with-host": (
        {
            "ingress": {"enabled": False},
            "httpRoute": {
                "enabled": True,
                "parentRefs": [{"name": "public"}],
                "hostnames": ["llm.example.org"],
            },
        }
        | GIVEN_KEYS,
        [],
    ),
    "port-forward": (
        {"ingress": {"enabled": False}, "demo": {"enabled": False}, "networkPolicy": {"enabled": False}}
        | GIVEN_KEYS,
        [],
    ),
    "models": (
        {
            "models": [
                {"name": "hub", "model": "facebook/opt-6.7b", "gpuFamily": ["ampere", "volta"], "gpus": 2},
                {"name": "mirror", "model": "lab/opt", "weights": {"endpoint": "https://hf.example.org"}},
                {
                    "name": "claim",
                    "model": "lab/opt-1.3b",
                    "replicas": 2,
                    "weights": {"from": "claim", "claimName": "weights"},
                },
                {
                    "name": "image",
                    "model": "lab/opt-350m",
                    "weights": {"from": "image", "image": "registry.example.org/opt:1"},
                },
                {"name": "kept", "model": "facebook/opt-125m", "weights": {"cache": {"type": "claim"}}},
            ]
        }
        | GIVEN_KEYS,
        [],
    ),
    "limits": (
        {
            "ingress": {"enabled": False},
            "auth": {
                "keys": {"alice": "sk-12345678"},
                "limits": {"keys": {"alice": {"concurrentRequests": 2}, "bob": {"requestsPerMinute": 9}}},
            },
        },
        [],
    ),
    "no-models": ({"models": []} | GIVEN_KEYS, []),
    "operator": ({"models": [], "operator": {"enabled": True}} | GIVEN_KEYS, []),
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_read_as_before(notes, branch):
    """After a change, look at the difference of what this writes: UPDATE_GOLDEN=1 pytest tests/chart."""
    values, flags = BRANCHES[branch]
    text = notes(values, *flags)
    golden = GOLDEN / f"{branch}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_say_what_is_served_and_how_to_ask(notes):
    text = notes()
    assert "OpenAISLE 0.2.0 is installed in the namespace lab." in text
    assert "openaisle/tiny-opt on cpu, 1 replica" in text
    assert "KEY=$(kubectl -n lab get secret openaisle-keys -o jsonpath='{.data.default}' | base64 -d)" in text
    assert "kubectl -n lab port-forward svc/openaisle-demo 8080:80 &" in text
    assert '"model": "openaisle/tiny-opt"' in text
    assert "helm test openaisle -n lab --logs" in text
    assert "WARNING: keys and prompts cross the Ingress unencrypted; write ingress.tls.enabled: true." in text
    assert "The key was generated at the first install." in text


def test_say_that_it_was_an_upgrade_and_how_to_go_back(notes):
    text = notes({}, "--is-upgrade")
    assert "OpenAISLE 0.2.0 is upgraded" in text
    assert "helm rollback openaisle -n lab" in text
    assert "--reset-then-reuse-values keeps your values" in text
    assert "rollback" not in notes()


def test_say_what_asks_the_doctor(notes):
    assert "\n  kubectl -n lab exec deploy/openaisle-adapter -- openaisle doctor\n" in notes()


@pytest.mark.parametrize(
    ("settings", "wait"),
    [
        ({}, "1 replica: ready in half a minute"),
        ({"model": "facebook/opt-6.7b"}, "12.4 GiB from huggingface.co, about 4 min at 100 MB/s"),
        ({"model": "lab/opt"}, "weights of unknown size from huggingface.co"),
        (
            {"model": "lab/opt-1.3b", "weights": {"from": "claim", "claimName": "ours"}},
            "2.5 GiB from the claim ours",
        ),
    ],
)
def test_tell_the_size_and_the_wait(notes, settings, wait):
    assert wait in notes(model(**settings))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"ingress": {"host": "llm.example.org"}}, "URL=http://llm.example.org"),
        ({"ingress": {"host": "llm.example.org", "tls": {"enabled": True}}}, "URL=https://llm.example.org"),
        ({}, "URL=http://$(kubectl -n lab get ingress openaisle -o jsonpath="),
        (
            {"ingress": {"enabled": False}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}},
            "URL=http://$(kubectl -n lab get gateway g -o jsonpath=",
        ),
        ({"ingress": {"enabled": False}}, "port-forward svc/openaisle-demo 8080:80 &"),
        ({"demo": {"enabled": False}}, "port-forward svc/openaisle-adapter 8080:80 &"),
    ],
)
def test_tell_the_address(notes, values, line):
    assert line in notes(values)


def test_without_ingress_nothing_is_said_of_it(notes):
    text = notes({"ingress": {"enabled": False}, "auth": {"keys": {"alice": "sk-12345678"}}})
    assert "ingress" not in text.lower()
    assert "generated" not in text
    assert "{.data.alice}" in text


def test_an_existing_secret_is_read_whatever_its_keys_are_called(notes):
    assert "get secret ours -o go-template=" in notes({"auth": {"existingSecret": "ours"}})


def test_warn_of_what_may_go_wrong(notes):
    text = notes(model(model="facebook/opt-1.3b", gpuFamily="turing", gpus=2))
    assert "m is downloaded again for each new pod (3 GiB or more)" in text
    assert "m needs a node with 2 x nvidia.com/gpu of the family turing." in text


def test_without_models_say_so(notes):
    assert "no model: add entries to `models`." in notes({"models": []})


def test_commands_are_correct_shell(notes, tmp_path):
    for values in (
        {},
        {"auth": {"existingSecret": "ours"}},
        model(model="facebook/opt-1.3b", gpuFamily="amd"),
    ):
        commands = re.findall(
            r"^  ((?:kubectl|KEY|URL|curl|helm).*(?:\n    .*)*)", notes(values), re.MULTILINE
        )
        assert len(commands) >= 7
        script = tmp_path / "script"
        script.write_text("\n".join(commands))
        subprocess.run(["bash", "-n", script], check=True)
