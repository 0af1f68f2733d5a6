"""Models made with `kubectl apply`: one release with the operator and no models of its own.

The tests use the release in the order in which they stand, to start few pods.
"""

from __future__ import annotations

import subprocess
import time

import httpx
import pytest
import yaml

from tests.cluster.conftest import MODEL, CommandFailed, wait_for

HOST = "operator.example.org"
VALUES = {
    "models": [],
    "operator": {"enabled": True},
    "demo": {"enabled": False},
    "ingress": {"host": HOST},
    "modelDefaults": {"resources": {"requests": {"cpu": "100m", "memory": "512Mi"}}},
}


class OptModels:
    """The OPTModels of a namespace."""

    def __init__(self, namespace):
        self.namespace = namespace

    def apply(self, name, **spec):
        metadata = {"name": name}
        self.namespace.apply(
            {"apiVersion": "openaisle.io/v1alpha1", "kind": "OPTModel", "metadata": metadata, "spec": spec}
        )

    def status(self, name):
        return self.namespace.get("optmodel", name).get("status", {})

    def condition(self, name, type):
        """The condition as (status, reason, message); None until the operator has seen the last change."""
        model = self.namespace.get("optmodel", name)
        status = model.get("status", {})
        if status.get("observedGeneration") != model["metadata"]["generation"]:
            return None
        for entry in status["conditions"]:
            if entry["type"] == type:
                return entry["status"], entry["reason"], entry["message"]
        return None

    def wait_for(self, name, type, reason, timeout_s=60):
        """The message of the condition once it has the reason."""

        def has_reason():
            found = self.condition(name, type)
            return found and found[1] == reason and found[2]

        return wait_for(f"{reason} of {name}", has_reason, timeout_s)

    def events(self, name):
        items = self.namespace.get("events", "", f"--field-selector=involvedObject.name={name}")
        return {
            (item["type"], item["reason"]) for item in items if item["involvedObject"]["kind"] == "OPTModel"
        }

    def objects(self, name):
        """What the operator made for the model, and the pods that follow from it."""
        kinds = "services,statefulsets,deployments,configmaps,networkpolicies,poddisruptionbudgets,jobs"
        made = self.namespace.get(kinds, "", f"--selector=openaisle.io/optmodel={name}")
        return made + self.namespace.get("pods", "", f"--selector=openaisle.io/model-name={name}")


@pytest.fixture(scope="module")
def models(new_namespace):
    namespace = new_namespace()
    namespace.install("--wait", "--timeout=120s", values=VALUES)
    return OptModels(namespace)


def versions(models, name, *kinds):
    """The resourceVersions of the model's objects of these kinds."""
    return {
        (item["kind"], item["metadata"]["name"]): item["metadata"]["resourceVersion"]
        for item in models.objects(name)
        if item["kind"] in kinds
    }


def test_a_completion_from_a_model_that_kubectl_made(models, ingress_url):
    began = time.monotonic()
    models.apply("stories")
    models.namespace.kubectl("wait", "optmodel/stories", "--for=condition=Ready", "--timeout=90s")
    print(f"kubectl apply to Ready: {time.monotonic() - began:.1f} s")
    headers = {"Authorization": f"Bearer {models.namespace.key()}", "Host": HOST}
    body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}

    def complete():
        return httpx.post(f"{ingress_url}/v1/completions", headers=headers, json=body, timeout=60)

    wait_for("the gateway to find the model", lambda: complete().status_code == 200, timeout_s=15)
    assert complete().json()["choices"][0]["text"]
    assert ("Normal", "Ready") in models.events("stories")


def test_the_columns_of_kubectl_get(models):
    header, row = models.namespace.kubectl("get", "optm").splitlines()
    assert header.split() == ["NAME", "READY", "REPLICAS", "FAMILY", "REASON", "AGE"]
    assert row.split()[:4] == ["stories", "True", "1", "cpu"]


def test_a_model_at_rest_is_left_alone(models):
    kinds = ("Service", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget")

    def rests():
        # Kubernetes itself may still be writing the status of what was just made.
        before = versions(models, "stories", *kinds)
        time.sleep(2)
        return versions(models, "stories", *kinds) == before and before

    before = wait_for("two seconds without a change", rests, timeout_s=20)
    assert {kind for kind, _ in before} == set(kinds)


def test_what_is_deleted_or_edited_by_hand_comes_back(models):
    namespace = models.namespace
    service = namespace.get("service", "openaisle-stories")
    namespace.kubectl("delete", "service", "openaisle-stories")
    namespace.kubectl("scale", "statefulset/openaisle-stories", "--replicas=3")

    def repaired():
        found = namespace.get("services", "", "--field-selector=metadata.name=openaisle-stories")
        replicas = namespace.get("statefulset", "openaisle-stories")["spec"]["replicas"]
        return found and replicas == 1 and found[0]

    again = wait_for("the Service and the replicas", repaired, timeout_s=15)
    assert again["metadata"]["uid"] != service["metadata"]["uid"]
    assert again["spec"]["selector"] == service["spec"]["selector"]


def test_one_field_changes_one_object(models):
    others = ("Service", "NetworkPolicy", "PodDisruptionBudget")
    before = versions(models, "stories", *others)
    models.apply("stories", podAnnotations={"example.org/team": "nlp"})

    def annotated():
        template = models.namespace.get("statefulset", "openaisle-stories")["spec"]["template"]
        return template["metadata"]["annotations"].get("example.org/team") == "nlp"

    wait_for("the annotation", annotated, timeout_s=15)
    after = versions(models, "stories", *others)
    # A budget's status follows the pods.
    assert {key: value for key, value in after.items() if key[0] != "PodDisruptionBudget"} == {
        key: value for key, value in before.items() if key[0] != "PodDisruptionBudget"
    }


def test_names_what_is_wrong_with_a_model(models):
    models.apply("typo", gpuFamily="turning")
    models.apply("large", model="facebook/opt-66b", gpuFamily="turing")
    models.apply("twin", replicas=0)
    models.apply("nowhere", servedModelName="nowhere", gpuFamily="amd")
    models.apply("broken", servedModelName="broken", extraArgs=["--bogus"])
    typo = models.wait_for("typo", "Accepted", "UnknownFamily")
    assert "gpuFamily turning doesn't exist" in typo
    large = models.wait_for("large", "Accepted", "DoesNotFit")
    assert "the model doesn't fit" in large
    twin = models.wait_for("twin", "Accepted", "ServedNameTaken")
    assert "served by the OPTModel stories already" in twin
    assert "nodes are available" in models.wait_for("nowhere", "Ready", "Pending")
    assert "Unrecognized arguments: --bogus" in models.wait_for("broken", "Ready", "CrashLoop")
    for name, reason in (("typo", "UnknownFamily"), ("large", "DoesNotFit"), ("broken", "CrashLoop")):
        wait_for(f"the event of {name}", lambda n=name, r=reason: ("Warning", r) in models.events(n), 15)
    for name in ("typo", "large", "twin"):
        assert models.objects(name) == []
    command = ["exec", "deploy/openaisle-adapter", "--", "openaisle", "doctor", "--skip-completion"]
    with pytest.raises(CommandFailed) as report:
        models.namespace.kubectl(*command)
    for name, told in (("typo", typo), ("large", large), ("twin", twin)):
        assert f"fail     optmodels   OPTModel {name}: {told}" in str(report.value)


def test_a_mistyped_field_is_refused_by_kubectl(models):
    with pytest.raises(CommandFailed, match=r'unknown field "spec\.gpuFamly"'):
        models.apply("mistyped", gpuFamly="cpu")


def test_a_model_is_scaled_to_zero(models):
    models.namespace.kubectl("scale", "optmodel/stories", "--replicas=0")
    models.wait_for("stories", "Ready", "ScaledToZero")
    # Without a server its name is still its own.
    assert models.condition("twin", "Accepted")[1] == "ServedNameTaken"


def test_a_name_that_is_given_up_goes_to_who_waits_for_it(models):
    models.apply("stories", replicas=0, servedModelName="tales")
    models.wait_for("twin", "Accepted", "Accepted")
    assert models.status("twin")["servedName"] == MODEL


def test_what_goes_leaves_nothing(models):
    names = ("broken", "nowhere", "typo", "large")
    models.namespace.kubectl("delete", "optmodels", *names, "--timeout=20s")
    for name in names:
        wait_for(f"the end of {name}", lambda n=name: models.objects(n) == [], timeout_s=60)


def test_an_operator_that_was_killed_goes_on(models):
    pods = "--selector=app.kubernetes.io/component=operator"
    models.namespace.kubectl("delete", "pods", pods, "--grace-period=0", "--force")
    models.apply("stories", replicas=0, servedModelName="tales", contextLength=512)
    models.namespace.kubectl("delete", "service", "openaisle-stories")
    wait_for(
        "the Service",
        lambda: models.namespace.get("services", "", "--field-selector=metadata.name=openaisle-stories"),
        timeout_s=60,
    )
    models.wait_for("stories", "Ready", "ScaledToZero")


def test_the_operator_may_do_no_more_than_it_has_to(models):
    account = f"--as=system:serviceaccount:{models.namespace.name}:openaisle-operator"

    def may(verb, kind, namespace=models.namespace.name):
        command = ["kubectl", "auth", "can-i", verb, kind, f"--namespace={namespace}", account]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "yes"

    assert may("patch", "statefulsets.apps")
    assert not may("get", "secrets")
    assert not may("create", "pods")
    assert not may("delete", "persistentvolumeclaims")
    assert not may("create", "roles.rbac.authorization.k8s.io")
    assert not may("list", "optmodels.openaisle.io", "default")


def test_a_second_operator_in_the_namespace_is_refused(models):
    with pytest.raises(
        CommandFailed, match="the release openaisle in this namespace has an operator already"
    ):
        models.namespace.install(values=VALUES, release="second")


def test_an_uninstall_keeps_opt_models_and_their_definition(models):
    """They go without the operator too: nothing holds them."""
    models.namespace.helm("uninstall", "openaisle", "--wait")
    assert {item["metadata"]["name"] for item in models.namespace.get("optmodels")} == {"stories", "twin"}
    assert models.namespace.get("statefulset", "openaisle-stories")
    assert models.namespace.get("deployments") == []
    models.namespace.kubectl("delete", "optmodels", "--all", "--timeout=20s")
    wait_for("the end of stories", lambda: models.objects("stories") == [], timeout_s=60)
    definition = yaml.safe_load(
        models.namespace.kubectl("get", "crd", "optmodels.openaisle.io", "-o", "yaml")
    )
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
