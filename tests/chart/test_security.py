"""Rules that every rendered pod keeps, in every one of the ci/ values."""

import pathlib

import pytest
import yaml

CI = sorted((pathlib.Path(__file__).resolve().parents[2] / "charts/openaisle/ci").glob("*-values.yaml"))


@pytest.fixture(params=CI, ids=lambda path: path.stem)
def objects(request, render):
    return render(yaml.safe_load(request.param.read_text()))


def pods(objects):
    for item in objects.all:
        if item["kind"] in ("Deployment", "StatefulSet", "Pod"):
            yield item["metadata"]["name"], objects.pod(item["metadata"]["name"])["spec"]


def containers(objects):
    for name, pod in pods(objects):
        for container in pod["containers"] + pod.get("initContainers", []):
            yield f"{name}/{container['name']}", container


def test_pods_run_as_nobody_in_particular(objects):
    for name, pod in pods(objects):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == 65532, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        assert not any("hostPath" in volume for volume in pod["volumes"]), name


def test_containers_have_no_privileges(objects):
    for name, container in containers(objects):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_only_the_gateway_gets_a_token_of_the_api_server(objects):
    for name, pod in pods(objects):
        assert pod["automountServiceAccountToken"] is name.endswith("-adapter"), name


def test_containers_have_requests_and_limits(objects):
    for name, container in containers(objects):
        for kind in ("requests", "limits"):
            assert container["resources"][kind].keys() >= {"cpu", "memory"}, name


def test_images_have_a_fixed_tag(objects):
    for name, container in containers(objects):
        tag = container["image"].rpartition(":")[2]
        assert tag, name
        assert tag != "latest", name


def test_servers_have_probes_and_wait_before_they_end(objects):
    for item in objects.all:
        if item["kind"] in ("Deployment", "StatefulSet"):
            container = objects.container(item["metadata"]["name"])
            assert container.keys() >= {"readinessProbe", "livenessProbe"}
            assert container["lifecycle"]["preStop"]["sleep"]["seconds"] > 0


def test_deployments_surge(objects):
    for deployment in objects.of("Deployment").values():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_variables_and_mounts_have_no_doubles(objects):
    """Doubles break the patches of a later `helm upgrade`."""
    for name, container in containers(objects):
        variables = [entry["name"] for entry in container.get("env", [])]
        assert len(variables) == len(set(variables)), name
        mounts = [entry["mountPath"] for entry in container.get("volumeMounts", [])]
        assert len(mounts) == len(set(mounts)), name


def test_every_workload_has_a_disruption_budget_and_a_network_policy(objects):
    for item in objects.all:
        if item["kind"] in ("Deployment", "StatefulSet"):
            name = item["metadata"]["name"]
            assert objects.one("PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1
            policy = objects.one("NetworkPolicy", name)["spec"]
            assert policy["policyTypes"] == ["Ingress", "Egress"]
            assert policy["podSelector"] == item["spec"]["selector"]
