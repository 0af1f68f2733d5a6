"""Rules that every rendered object keeps, in every one of the ci/ values, as linters of charts have them."""

import itertools
import pathlib
import re

import pytest
import yaml

from tests.chart.conftest import Objects

CI = sorted((pathlib.Path(__file__).resolve().parents[2] / "charts/openaisle/ci").glob("*-values.yaml"))
SERVERS = ("Deployment", "StatefulSet")
# Those who ask the API server something; a token in any other pod would only be there to be stolen.
WITH_TOKEN = {"adapter", "doctor", "operator", "test"}


RENDERED: dict[pathlib.Path, Objects] = {}


@pytest.fixture(params=CI, ids=lambda path: path.stem)
def objects(request, render):
    """Rendered once for all the rules, which only look."""
    if request.param not in RENDERED:
        RENDERED[request.param] = render(yaml.safe_load(request.param.read_text()))
    return RENDERED[request.param]


def component(item):
    return item["metadata"]["labels"]["app.kubernetes.io/component"]


def templates(objects):
    """(object, pod template) of all that makes pods; a bare pod is its own template."""
    for item in objects.all:
        if item["kind"] in (*SERVERS, "Job"):
            yield item, item["spec"]["template"]
        elif item["kind"] == "Pod":
            yield item, item


def pods(objects):
    for item, template in templates(objects):
        yield item["metadata"]["name"], template["spec"]


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
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}, name
        assert not any("hostPath" in volume for volume in pod.get("volumes", [])), name
        ports = [port for container in pod["containers"] for port in container.get("ports", [])]
        assert not any("hostPort" in port for port in ports), name


def test_containers_have_no_privileges(objects):
    for name, container in containers(objects):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_tokens_of_the_api_server_are_only_where_they_are_used(objects):
    for item, template in templates(objects):
        pod, name = template["spec"], item["metadata"]["name"]
        assert pod["automountServiceAccountToken"] is (component(item) in WITH_TOKEN), name
        if pod["automountServiceAccountToken"]:
            assert objects.one("ServiceAccount", pod["serviceAccountName"])
    for account in objects.of("ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False


def test_services_are_not_told_by_variables(objects):
    """A namespace with many Services would put hundreds of variables into each container."""
    for name, pod in pods(objects):
        assert pod["enableServiceLinks"] is False, name


def test_containers_have_requests_and_limits(objects):
    for name, container in containers(objects):
        for kind in ("requests", "limits"):
            assert container["resources"][kind].keys() >= {"cpu", "memory"}, name


def test_images_have_a_fixed_tag(objects):
    for name, container in containers(objects):
        repository, _, tag = container["image"].rpartition(":")
        assert repository, name
        assert "/" not in tag, name
        assert tag not in ("", "latest", "main"), name


def test_servers_have_probes_and_wait_before_they_end(objects):
    for item, template in templates(objects):
        if item["kind"] in SERVERS and component(item) in ("opt", "adapter", "demo"):
            container = template["spec"]["containers"][0]
            assert container.keys() >= {"readinessProbe", "livenessProbe"}
            assert container["lifecycle"]["preStop"]["sleep"]["seconds"] > 0


def test_kubectl_knows_which_container_is_meant(objects):
    for item, template in templates(objects):
        annotations = template["metadata"].get("annotations") or {}
        names = [container["name"] for container in template["spec"]["containers"]]
        assert annotations.get("kubectl.kubernetes.io/default-container") == names[0], item["metadata"][
            "name"
        ]


def test_the_last_lines_of_what_crashed_are_in_the_pod_s_status(objects):
    """kubectl describe and the doctor show them; neither needs the right to read logs."""
    for name, container in containers(objects):
        assert container.get("terminationMessagePolicy") == "FallbackToLogsOnError", name


def test_deployments_surge(objects):
    for deployment in objects.of("Deployment").values():
        if component(deployment) != "operator":
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_there_are_never_two_operators(objects):
    for deployment in objects.of("Deployment").values():
        if component(deployment) == "operator":
            assert deployment["spec"]["replicas"] == 1
            assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_variables_and_mounts_have_no_doubles(objects):
    """Doubles break the patches of a later `helm upgrade`."""
    for name, container in containers(objects):
        variables = [entry["name"] for entry in container.get("env", [])]
        assert len(variables) == len(set(variables)), name
        mounts = [entry["mountPath"] for entry in container.get("volumeMounts", [])]
        assert len(mounts) == len(set(mounts)), name


def test_mounts_and_volumes_belong_together(objects):
    for name, pod in pods(objects):
        mounted = {
            mount["name"]
            for container in pod["containers"] + pod.get("initContainers", [])
            for mount in container.get("volumeMounts", [])
        }
        claims = {
            template["metadata"]["name"]
            for workload in objects.of("StatefulSet").values()
            if workload["metadata"]["name"] == name
            for template in workload["spec"].get("volumeClaimTemplates", [])
        }
        assert mounted == {volume["name"] for volume in pod.get("volumes", [])} | claims, name


def test_every_server_has_a_disruption_budget_of_its_own(objects):
    for item, _ in templates(objects):
        if item["kind"] in SERVERS and component(item) in ("opt", "adapter", "demo"):
            budget = objects.one("PodDisruptionBudget", item["metadata"]["name"])["spec"]
            assert budget["maxUnavailable"] == 1
            assert budget["selector"] == item["spec"]["selector"]


def selects(selector, labels):
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    expressions = selector.get("matchExpressions", [])
    assert {expression["operator"] for expression in expressions} <= {"In"}
    return all(labels.get(expression["key"]) in expression["values"] for expression in expressions)


def test_every_pod_has_a_network_policy_for_both_directions(objects):
    for item, template in templates(objects):
        policies = [
            policy
            for policy in objects.of("NetworkPolicy").values()
            if selects(policy["spec"]["podSelector"], template["metadata"]["labels"])
        ]
        assert policies, item["metadata"]["name"]
        for policy in policies:
            assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_every_object_says_what_it_belongs_to(objects):
    for item in objects.all:
        if item["kind"] == "CustomResourceDefinition":
            continue
        labels = item["metadata"]["labels"]
        assert labels.keys() >= {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/component",
            "app.kubernetes.io/version",
            "app.kubernetes.io/managed-by",
            "app.kubernetes.io/part-of",
            "helm.sh/chart",
        }, item["metadata"]["name"]


def test_names_of_one_kind_are_unique_and_short_enough(objects):
    named = sorted((item["kind"], item["metadata"]["name"]) for item in objects.all)
    assert [key for key, group in itertools.groupby(named) if len(list(group)) > 1] == []
    for kind, name in named:
        assert len(name) <= 63, (kind, name)
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name), (kind, name)


def test_objects_are_in_the_release_s_namespace(objects):
    for item in objects.all:
        assert item["metadata"].get("namespace", "lab") == "lab", item["metadata"]["name"]


def test_roles_ask_for_kinds_and_verbs_by_name(objects):
    for kind in ("Role", "ClusterRole"):
        for role in objects.of(kind).values():
            for rule in role["rules"]:
                for key in ("apiGroups", "resources", "verbs"):
                    assert "*" not in rule[key], role["metadata"]["name"]


def test_nothing_reaches_beyond_the_namespace_unless_values_say_so(render):
    """Only doctor.clusterAccess and the operator's CRD are of the whole cluster."""
    kinds = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PersistentVolume"}
    for path in CI:
        values = yaml.safe_load(path.read_text())
        values.setdefault("doctor", {})["clusterAccess"] = False
        values["operator"] = {}
        found = {item["kind"] for item in render(values).all} & kinds
        assert not found, path.stem


class TestDoctor:
    def test_may_list_and_nothing_else(self, render):
        role = render().one("Role", "openaisle-doctor")
        assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list"}
        resources = {resource for rule in role["rules"] for resource in rule["resources"]}
        assert not resources & {"secrets", "configmaps", "pods/log", "pods/exec"}

    def test_sees_the_cluster_when_values_say_so(self, render):
        objects = render({"doctor": {"clusterAccess": True}})
        (role,) = objects.of("ClusterRole").values()
        assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list"}
        (binding,) = objects.of("ClusterRoleBinding").values()
        assert {subject["name"] for subject in binding["subjects"]} == {
            "openaisle-adapter",
            "openaisle-doctor",
        }

    def test_runs_at_the_end_of_an_install_when_values_say_so(self, render):
        objects = render({"doctor": {"job": True, "waitSeconds": 60}})
        job = objects.one("Job", "openaisle-doctor")
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
        # An uninstall leaves hooks; the one that failed is there to be read.
        assert job["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == (
            "before-hook-creation,hook-succeeded"
        )
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["command"] == [
            "openaisle",
            "doctor",
            "--wait-s=60",
            "--adapter-url=http://openaisle-adapter",
        ]
        assert not render().of("Job")

    def test_leaves_no_rights_behind_when_it_is_not_wanted(self, render):
        objects = render({"doctor": {"enabled": False, "clusterAccess": True, "job": True}})
        kinds = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount", "Job")
        assert not [name for kind in kinds for name in objects.of(kind) if name.endswith("doctor")]
        assert objects.pod("openaisle-test")["spec"]["automountServiceAccountToken"] is False
