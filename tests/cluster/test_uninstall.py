"""`helm uninstall`, and what a new install finds."""

from tests.cluster.conftest import wait_for

SHARED = {"cache": {"type": "shared", "accessMode": "ReadWriteOnce", "size": "1Gi"}}
QUIET = {
    "ingress": {"enabled": False},
    "models": [{"name": "m", "model": "facebook/opt-125m", "replicas": 0, "weights": SHARED}],
    "adapter": {"replicas": 0},
    "demo": {"replicas": 0},
}
KEPT = {"secret/openaisle-keys", "persistentvolumeclaim/openaisle-m-weights"}


def test_only_keys_and_volumes_stay_and_the_next_install_takes_them_up(namespace):
    # Kubernetes' own objects (a ConfigMap with its certificates, a ServiceAccount) are in every namespace.
    kinds = "all,secret,configmap,serviceaccount,role,rolebinding,ingress,networkpolicy,pdb,pvc"

    def objects():
        lines = namespace.kubectl("get", kinds, "-o", "name").split()
        return {
            line for line in lines if line not in ("configmap/kube-root-ca.crt", "serviceaccount/default")
        }

    before = objects()
    namespace.install(values=QUIET)
    key = namespace.key()
    volume = namespace.get("pvc", "openaisle-m-weights")["metadata"]["uid"]
    namespace.helm("uninstall", "openaisle", "--wait")
    wait_for("the objects to be gone", lambda: objects() == before | KEPT, timeout_s=60)
    namespace.install(values=QUIET)
    assert namespace.key() == key
    assert namespace.get("pvc", "openaisle-m-weights")["metadata"]["uid"] == volume
    namespace.helm("uninstall", "openaisle", "--wait")
    # What docs/kubernetes.md says of removing everything.
    for kind in (["secret", "openaisle-keys"], ["pvc,job,pod", "-l", "app.kubernetes.io/instance=openaisle"]):
        namespace.kubectl("delete", *kind)
    wait_for("an empty namespace", lambda: objects() == before, timeout_s=60)
