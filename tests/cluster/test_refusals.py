"""What only the cluster can tell: values that name objects which aren't there. Nothing is installed then."""

import pytest

from tests.cluster.conftest import CommandFailed


@pytest.fixture
def refusal(namespace):
    """refusal(values) -> helm's message; checks that no object was made."""

    def run(values):
        before = namespace.kubectl("get", "all,secret", "-o", "name")
        with pytest.raises(CommandFailed) as failed:
            namespace.install(values={"ingress": {"enabled": False}} | values)
        assert namespace.kubectl("get", "all,secret", "-o", "name") == before
        return str(failed.value)

    return run


def test_a_missing_secret_of_keys(refusal, namespace):
    message = refusal({"auth": {"existingSecret": "ours"}})
    assert f"there is no Secret ours in the namespace {namespace.name}" in message
    assert f"kubectl create secret generic ours -n {namespace.name} --from-literal=default=sk-..." in message


def test_a_secret_without_keys(refusal, namespace):
    namespace.kubectl("create", "secret", "generic", "ours")
    assert "the Secret ours holds no key" in refusal({"auth": {"existingSecret": "ours"}})


def test_a_token_secret_that_lacks_its_key(refusal, namespace):
    namespace.kubectl("create", "secret", "generic", "hub", "--from-literal=other=x")
    model = {"name": "m", "model": "facebook/opt-125m", "weights": {"tokenSecret": {"name": "hub"}}}
    assert "there is no Secret hub with a key token in the namespace" in refusal({"models": [model]})


def test_https_without_a_certificate(refusal, namespace):
    message = refusal({"ingress": {"host": "tls.example.org", "tls": {"enabled": True}}})
    assert f"ingress.tls: there is no Secret openaisle-tls in the namespace {namespace.name}" in message
    assert f"kubectl create secret tls openaisle-tls -n {namespace.name} --cert=FILE --key=FILE" in message


def claim(name, mode):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Mi"}}},
    }


def test_a_missing_claim(refusal):
    model = {"name": "m", "model": "facebook/opt-125m", "weights": {"from": "claim", "claimName": "none"}}
    assert "there is no PersistentVolumeClaim none" in refusal({"models": [model]})


@pytest.mark.parametrize(
    ("weights", "modes"),
    [
        ({"from": "claim", "claimName": "weights"}, "ReadOnlyMany or ReadWriteMany"),
        ({"cache": {"type": "shared", "claimName": "weights"}}, "ReadWriteMany"),
    ],
)
def test_a_claim_that_two_replicas_cannot_share(refusal, namespace, weights, modes):
    namespace.apply(claim("weights", "ReadWriteOnce"))
    model = {"name": "m", "model": "facebook/opt-125m", "replicas": 2, "weights": weights}
    message = refusal({"models": [model]})
    assert "2 replicas cannot share the claim weights, whose access mode is ReadWriteOnce" in message
    assert f"write replicas: 1 or use a claim with {modes}." in message


def test_a_volume_that_cannot_be_changed_in_place(namespace):
    def values(size):
        weights = {"cache": {"type": "claim", "size": size}}
        model = {"name": "m", "model": "facebook/opt-125m", "replicas": 0, "weights": weights}
        quiet = {"ingress": {"enabled": False}, "adapter": {"replicas": 0}, "demo": {"enabled": False}}
        return quiet | {"models": [model]}

    namespace.install(values=values("5Gi"))
    with pytest.raises(CommandFailed) as failed:
        namespace.upgrade(values=values("6Gi"))
    message = (
        "its volume cannot be changed in place (from 5Gi of the default class to 6Gi of the default class)"
    )
    assert message in str(failed.value)
    advice = f"kubectl delete statefulset openaisle-m -n {namespace.name} --cascade=orphan"
    assert advice in str(failed.value)
    namespace.kubectl("delete", "statefulset", "openaisle-m", "--cascade=orphan")
    namespace.upgrade(values=values("6Gi"))
    namespace.helm("uninstall", "openaisle")


def test_a_shared_volume_stays_when_a_smaller_model_takes_it_over_and_grows_only_when_told(namespace):
    def values(model, size=""):
        weights = {"cache": {"type": "shared", "accessMode": "ReadWriteOnce", "size": size}}
        quiet = {"ingress": {"enabled": False}, "adapter": {"replicas": 0}, "demo": {"enabled": False}}
        return quiet | {"models": [{"name": "m", "model": model, "replicas": 0, "weights": weights}]}

    def size():
        return namespace.get("pvc", "openaisle-m-weights")["spec"]["resources"]["requests"]["storage"]

    namespace.install(values=values("facebook/opt-6.7b"))
    namespace.upgrade(values=values("facebook/opt-1.3b"))
    assert size() == "38Gi"
    for refused, message in (
        (values("facebook/opt-1.3b", "8Gi"), "has 38Gi, and a volume cannot be made smaller; write"),
        (values("facebook/opt-13b"), "takes a volume of 72Gi, and the claim openaisle-m-weights has 38Gi"),
    ):
        with pytest.raises(CommandFailed) as failed:
            namespace.upgrade(values=refused)
        assert message in str(failed.value)
        assert f"kubectl delete pvc openaisle-m-weights -n {namespace.name}" in str(failed.value)
    namespace.helm("uninstall", "openaisle")


def test_what_selects_the_pods_cannot_be_changed_in_place(namespace):
    quiet = {
        "ingress": {"enabled": False},
        "adapter": {"replicas": 0},
        "demo": {"enabled": False},
        "models": [],
    }
    namespace.install(values=quiet)
    with pytest.raises(CommandFailed) as failed:
        namespace.upgrade(values=quiet | {"nameOverride": "aisle", "fullnameOverride": "openaisle"})
    assert "nameOverride: the release's pods are called openaisle" in str(failed.value)
    assert "write nameOverride: openaisle, or install a second release" in str(failed.value)
    namespace.helm("uninstall", "openaisle")


def test_a_swap_becomes_a_surge_and_back_without_a_word(namespace):
    def values(rollout):
        model = {"name": "m", "replicas": 0, "rollout": rollout}
        return {"ingress": {"enabled": False}, "adapter": {"replicas": 0}, "demo": {"enabled": False}} | {
            "models": [model]
        }

    namespace.install(values=values("swap"))
    for rollout, kinds in (("surge", "deployment"), ("swap", "statefulset")):
        namespace.upgrade(values=values(rollout))
        found = namespace.kubectl("get", "deployments,statefulsets", "-o", "name").split()
        assert [name for name in found if name.endswith("/openaisle-m")] == [f"{kinds}.apps/openaisle-m"]
    namespace.helm("uninstall", "openaisle")
