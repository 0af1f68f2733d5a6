"""Volumes, ways in, keys, names, the Hub and a completion; the last three against real sockets."""

import json

import pytest
from aiohttp import web
from openaisle_adapter.doctor.checks.completion import check_completion
from openaisle_adapter.doctor.checks.hub import check_hub
from openaisle_adapter.doctor.checks.ingress import check_ingress
from openaisle_adapter.doctor.checks.keys import check_keys
from openaisle_adapter.doctor.checks.names import check_dns
from openaisle_adapter.doctor.checks.storage import check_storage

from tests.adapter.doctor.objects import claim, model, release_labels, view


def with_claim(**settings):
    volumes = [{"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}]
    return model(volumes=volumes, **settings)


def storage_class(name, default=False):
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": annotations}}


@pytest.mark.parametrize(
    ("workload", "claims", "classes", "status", "text", "cure"),
    [
        (with_claim(), [claim("weights")], [], "ok", "the claim weights is bound", ""),
        (with_claim(), [], [], "fail", "there is no PersistentVolumeClaim weights", "make it"),
        (
            with_claim(replicas=2),
            [claim("weights")],
            [],
            "fail",
            "2 replicas share the claim weights, whose access mode is ReadWriteOnce",
            "use a claim with ReadOnlyMany or ReadWriteMany",
        ),
        (with_claim(replicas=2), [claim("weights", modes=("ReadWriteMany",))], [], "ok", "is bound", ""),
        (
            with_claim(),
            [claim("weights", "Pending", storageClassName="fast")],
            [storage_class("slow")],
            "fail",
            "the claim weights isn't bound",
            "its StorageClass fast doesn't exist; the classes are: slow",
        ),
        (
            with_claim(),
            [claim("weights", "Pending")],
            [storage_class("slow")],
            "fail",
            "isn't bound",
            "the cluster has no default StorageClass; name one in storageClassName (slow)",
        ),
        (
            with_claim(),
            [claim("weights", "Pending")],
            [storage_class("slow", default=True)],
            "fail",
            "isn't bound",
            "kubectl -n lab describe pvc weights",
        ),
        (
            with_claim(),
            [claim("weights", "Pending")],
            None,
            "fail",
            "isn't bound",
            "kubectl get storageclass",
        ),
        (
            with_claim(),
            [claim("weights", "Lost")],
            [],
            "fail",
            "the volume behind the claim weights is gone",
            "restore",
        ),
    ],
)
def test_claims(workload, claims, classes, status, text, cure):
    found = view(statefulsets=[workload], persistentvolumeclaims=claims, storageclasses=classes)
    (finding,) = check_storage(found)
    assert finding.status == status
    assert text in finding.text
    assert cure in finding.cure


def test_the_claim_of_each_replica():
    workload = model(replicas=2)
    workload["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "weights"}}]
    claims = [claim("weights-openaisle-m-0"), claim("weights-openaisle-m-1", "Pending")]
    found = list(check_storage(view(statefulsets=[workload], persistentvolumeclaims=claims)))
    assert [finding.status for finding in found] == ["ok", "fail"]


def ingress(address="", class_name="nginx"):
    status = {"loadBalancer": {"ingress": [{"ip": address}] if address else []}}
    return {
        "metadata": {"name": "openaisle", "labels": release_labels("ingress")},
        "spec": {"ingressClassName": class_name} if class_name else {},
        "status": status,
    }


@pytest.mark.parametrize(
    ("address", "classes", "status", "text", "cure"),
    [
        ("10.0.0.1", None, "ok", "the Ingress openaisle (nginx) is served at 10.0.0.1", ""),
        (
            "",
            None,
            "warn",
            "no controller has given the Ingress openaisle an address",
            "kubectl get ingressclass",
        ),
        ("", ["nginx"], "warn", "the controller of the class nginx has given", "describe ingress openaisle"),
        (
            "",
            ["traefik"],
            "fail",
            "the IngressClass nginx of the Ingress openaisle doesn't exist",
            "write ingress.className: traefik (the classes are: traefik)",
        ),
        ("", [], "fail", "doesn't exist", "install an Ingress controller, or write ingress.enabled: false"),
    ],
)
def test_the_ingress(address, classes, status, text, cure):
    listed = None if classes is None else [{"metadata": {"name": name}} for name in classes]
    (finding,) = check_ingress(view(ingresses=[ingress(address)], ingressclasses=listed))
    assert finding.status == status
    assert text in finding.text
    assert cure in finding.cure


def test_an_ingress_of_a_default_class_that_is_not_there():
    """The API server writes the default class into an Ingress that names none."""
    classes = [{"metadata": {"name": "public"}}]
    (finding,) = check_ingress(view(ingresses=[ingress(class_name="")], ingressclasses=classes))
    assert finding.status == "fail"
    assert finding.text.startswith(
        "the Ingress openaisle is of the default IngressClass, and when it was made"
    )
    assert "write ingress.className: public" in finding.cure


@pytest.mark.parametrize(
    ("parents", "status", "text"),
    [
        ([], "fail", "no Gateway has taken up the HTTPRoute openaisle"),
        ([{"conditions": [{"type": "Accepted", "status": "True"}]}], "ok", "is accepted"),
        (
            [{"conditions": [{"type": "ResolvedRefs", "status": "False", "message": "no such Service"}]}],
            "fail",
            "isn't served: no such Service",
        ),
    ],
)
def test_the_httproute(parents, status, text):
    route = {
        "metadata": {"name": "openaisle", "labels": release_labels("ingress")},
        "status": {"parents": parents},
    }
    (finding,) = check_ingress(view(httproutes=[route]))
    assert finding.status == status
    assert text in finding.text


@pytest.mark.parametrize(
    ("files", "status", "text", "cure"),
    [
        ({"alice": "sk-1\n"}, "ok", "1 of them (alice)", ""),
        ({}, "fail", "the Secret ours of the clients' keys is missing", "create secret generic ours"),
        ({"alice": ""}, "fail", "the entry alice of the Secret ours is empty", "patch secret ours"),
        ({"alice": "sk 1"}, "fail", "has a space in it", "patch secret ours"),
    ],
)
def test_keys(tmp_path, files, status, text, cure):
    for name, key in files.items():
        (tmp_path / name).write_text(key)
    (finding,) = check_keys(tmp_path, "ours", "lab")
    assert finding.status == status
    assert text in finding.text
    assert cure in finding.cure


def test_keys_that_cannot_be_seen_from_here(tmp_path):
    (finding,) = check_keys(None, "ours", "lab")
    assert (finding.status, finding.cure) == ("skipped", "kubectl -n lab get secret ours")
    (finding,) = check_keys(tmp_path / "not-there", "ours", "lab")
    assert finding.status == "fail"


async def test_names():
    assert [finding.status async for finding in check_dns("localhost")] == ["ok"]
    (finding,) = [finding async for finding in check_dns("no-such-host.invalid")]
    assert finding.status == "fail"
    assert "no-such-host.invalid isn't resolved" in finding.text


@pytest.fixture
async def serve():
    """serve(status, body) -> URL of a server that answers so to everything."""
    runners = []

    async def start(status, body=""):
        async def answer(request):
            return web.Response(status=status, text=body)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return "http://{}:{}".format(*runner.addresses[0][:2])

    yield start
    for runner in runners:
        await runner.cleanup()


def from_hub(url, **settings):
    return model(env=[{"name": "HF_ENDPOINT", "value": url}], **settings)


async def hub(*workloads):
    return [finding async for finding in check_hub(view(statefulsets=list(workloads)))]


async def test_a_hub_that_answers(serve):
    (finding,) = await hub(from_hub(await serve(404)))
    assert finding.status == "ok"


async def test_a_hub_that_is_not_there(free_port):
    (finding,) = await hub(from_hub(f"http://127.0.0.1:{free_port()}"))
    assert finding.status == "fail"
    assert "from which m is fetched, cannot be reached" in finding.text
    (finding,) = await hub(from_hub("http://no-such-host.invalid"))
    assert "the name no-such-host.invalid isn't resolved" in finding.text


async def test_a_hub_is_not_asked_when_its_models_are_ready(free_port):
    (finding,) = await hub(from_hub(f"http://127.0.0.1:{free_port()}", ready=1))
    assert finding.status == "ok"


async def test_no_hub_for_weights_from_elsewhere():
    assert not await hub(model(env=[{"name": "HF_HUB_OFFLINE", "value": "1"}]))


async def test_a_hub_that_a_container_before_the_server_s_asks(free_port):
    url = f"http://127.0.0.1:{free_port()}"
    download = {"name": "download", "env": [{"name": "HF_ENDPOINT", "value": url}]}
    (finding,) = await hub(model(env=[{"name": "HF_HUB_OFFLINE", "value": "1"}], initContainers=[download]))
    assert finding.status == "fail"
    assert url in finding.text


async def test_a_hub_behind_a_proxy_is_not_tried():
    env = [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}]
    (finding,) = await hub(model(env=env))
    assert finding.status == "skipped"


async def complete(url, ready=True):
    return [finding async for finding in check_completion(url, "sk-1", {"lab/m": ready})]


async def test_a_completion(serve):
    url = await serve(200, json.dumps({"choices": [{"text": " there was"}]}))
    (finding,) = await complete(url)
    assert finding.status == "ok"
    assert finding.text.startswith("lab/m: 'Once upon a time there was' in ")


@pytest.mark.parametrize(
    ("status", "body", "text", "cure"),
    [
        (
            401,
            '{"error": {"message": "wrong key"}}',
            "status 401: wrong key",
            "has not read the Secret's keys",
        ),
        (404, '{"error": {"message": "no model"}}', "status 404: no model", "no Service carries this model"),
        (503, "busy", "status 503: busy", "no replica takes requests now"),
        (418, "tea", "status 418: tea", "kubectl logs"),
        (200, "tea", "the answer isn't a completion: tea", "kubectl logs"),
    ],
)
async def test_a_completion_that_fails(serve, status, body, text, cure):
    (finding,) = await complete(await serve(status, body))
    assert finding.status == "fail"
    assert text in finding.text
    assert cure in finding.cure


async def test_a_gateway_that_is_not_there(free_port):
    (finding,) = await complete(f"http://127.0.0.1:{free_port()}")
    assert finding.status == "fail"
    assert "doesn't answer" in finding.text


async def test_a_model_without_a_ready_replica_is_not_asked(free_port):
    (finding,) = await complete(f"http://127.0.0.1:{free_port()}", ready=False)
    assert finding.status == "skipped"
