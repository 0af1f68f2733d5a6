"""`openaisle doctor` as a program, against an API server that lists what it is given."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import get_args

import pytest
from aiohttp import web
from openaisle_adapter.doctor.finding import Anchor, Finding
from openaisle_adapter.doctor.report import as_text
from openaisle_adapter.doctor.view import name

from tests.adapter.doctor.objects import model, node, pod, release_labels, view


def gateway(release="openaisle"):
    labels = release_labels("adapter") | {"app.kubernetes.io/instance": release}
    volumes = [{"name": "keys", "secret": {"secretName": "ours"}}]
    return {
        "metadata": {"name": f"{release}-adapter", "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"volumes": volumes, "containers": []}},
        },
    }


@pytest.fixture
async def doctor(root, tmp_path):
    """doctor(objects, *flags, hidden=()) -> (exit code, stdout, stderr); kinds that aren't given are 404."""
    runners = []

    async def run(objects, *flags, hidden=()):
        async def answer(request):
            kind = request.path.rsplit("/", 1)[1]
            if kind in hidden:
                return web.Response(status=403)
            if kind not in objects:
                return web.Response(status=404)
            items = objects[kind]
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        (tmp_path / "kubeconfig").write_text(
            json.dumps(
                {
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "lab"}}],
                    "clusters": [{"name": "k", "cluster": {"server": f"http://{host}:{port}"}}],
                    "users": [{"name": "u", "user": {}}],
                }
            )
        )
        environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig")}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            root / "images/adapter/openaisle",
            "doctor",
            *flags,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    yield run
    for runner in runners:
        await runner.cleanup()


WELL = {
    "deployments": [gateway()],
    "statefulsets": [model(ready=1)],
    "pods": [pod(ready=True)],
    "nodes": [node("a")],
    "events": [],
    "ingresses": [],
    "persistentvolumeclaims": [],
}


async def test_all_is_well(doctor):
    status, out, err = await doctor(WELL)
    assert (status, err) == (0, "")
    assert out.startswith("Release openaisle in the namespace lab:")
    assert "ok       pods        model m: 1 of 1 pods ready" in out
    assert "-> kubectl -n lab get secret ours" in out


async def test_a_failure_is_told_by_the_exit_code(doctor):
    status, out, _ = await doctor(WELL | {"nodes": [node("a", pressure="DiskPressure")]})
    assert status == 1
    assert "fail     pressure    the node a reports DiskPressure" in out


async def test_json(doctor):
    status, out, _ = await doctor(WELL, "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["release"], found["namespace"]) == ("openaisle", "lab")
    assert found["counts"]["fail"] == 0
    assert {finding["check"] for finding in found["findings"]} >= {"nodes", "pods", "keys", "completion"}


async def test_what_may_not_be_seen_is_said(doctor):
    status, out, _ = await doctor(WELL, hidden=("nodes",))
    assert status == 0
    assert (
        "skipped  nodes       this account may not list nodes (the chart's value doctor.clusterAccess" in out
    )
    assert "-> see for yourself: kubectl get nodes -o custom-columns=" in out


async def test_without_rights_in_the_namespace_the_release_has_to_be_named(doctor):
    hidden = tuple(WELL)
    status, _, err = await doctor(WELL, hidden=hidden)
    assert (status, err.strip()) == (
        1,
        "Name the release with --release: the account may not list Deployments.",
    )
    status, out, _ = await doctor(WELL, "--release", "openaisle", hidden=hidden)
    assert status == 0
    assert "this account may not list statefulsets (the chart's value doctor.enabled lets it)" in out


@pytest.mark.parametrize(
    ("gateways", "sentence"),
    [
        ([], "There is no release of OpenAISLE in the namespace lab: choose another with --namespace."),
        (
            [gateway("one"), gateway("two")],
            "The namespace lab has the releases one, two: choose one with --release.",
        ),
    ],
)
async def test_which_release_is_meant(doctor, gateways, sentence):
    status, _, err = await doctor(WELL | {"deployments": gateways})
    assert (status, err.strip()) == (1, sentence)


async def test_it_waits_for_models_that_load_and_then_reports(doctor):
    status, out, err = await doctor(WELL | {"statefulsets": [model(ready=0)]}, "--wait-s", "0.5")
    assert "Waiting for model m (0/1)." in err
    assert status == 0
    assert "Release openaisle" in out


def test_other_words_are_answered_with_the_usage(root):
    result = subprocess.run(
        [sys.executable, root / "images/adapter/openaisle", "docter"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (1, "usage: openaisle doctor [--help]\n")


def test_a_python_without_the_packages_is_told_of_the_one_that_has_them(root):
    command = [sys.executable, "-S", root / "images/adapter/openaisle", "doctor"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.startswith("openaisle: this Python lacks the package ")
    assert result.stderr.endswith("and .venv/bin/python starts this.\n")


def test_every_anchor_that_the_doctor_names_is_in_the_guide(root):
    guide = (root / "docs/troubleshooting.md").read_text()
    assert [anchor for anchor in get_args(Anchor) if anchor and f'<a id="{anchor}"></a>' not in guide] == []


def test_a_finding_leads_to_its_place_in_the_guide():
    finding = Finding("pods", "fail", "it is so", "do this", "pending")
    lines = as_text(view(), [finding]).splitlines()
    assert lines[2:5] == [
        "fail     pods        it is so",
        "                     -> do this",
        "                        (docs/troubleshooting.md#pending)",
    ]


def test_of_a_release_that_has_the_chart_twice_one_is_looked_at():
    def called(chart, name):
        workload = model(name)
        workload["metadata"]["labels"]["app.kubernetes.io/name"] = chart
        return workload

    everything = view(statefulsets=[called("llm", "a"), called("second", "b")])
    assert [name(item) for item in everything.of_release("statefulsets")] == ["openaisle-a", "openaisle-b"]
    one = replace(everything, chart="second")
    assert [name(item) for item in one.of_release("statefulsets")] == ["openaisle-b"]
