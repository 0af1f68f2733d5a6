"""The lines that helm prints after an install, ready to copy."""

import re
import subprocess

import pytest

from tests.chart.conftest import model


def test_say_what_is_served_and_how_to_ask(notes):
    text = notes()
    assert "OpenAISLE 0.1.0 is installed in the namespace lab." in text
    assert "openaisle/tiny-opt on cpu, 1 replica" in text
    assert "KEY=$(kubectl -n lab get secret openaisle-keys -o jsonpath='{.data.default}' | base64 -d)" in text
    assert "kubectl -n lab port-forward svc/openaisle-demo 8080:80 &" in text
    assert '"model": "openaisle/tiny-opt"' in text
    assert "helm test openaisle -n lab --logs" in text
    assert "WARNING: keys and prompts cross the Ingress unencrypted; write ingress.tls.enabled: true." in text
    assert "The key was generated at the first install." in text


def test_say_that_it_was_an_upgrade(notes):
    assert "OpenAISLE 0.1.0 is upgraded" in notes({}, "--is-upgrade")


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
    assert "m reserves 2 GPUs a replica, of which engine opt uses one" in text


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
