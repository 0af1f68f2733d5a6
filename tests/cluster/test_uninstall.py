"""`helm uninstall`, and what a new install finds."""

from tests.cluster.conftest import wait_for

QUIET = {"ingress": {"enabled": False}, "models": [], "adapter": {"replicas": 0}, "demo": {"replicas": 0}}


def test_only_the_keys_secret_stays_and_the_next_install_takes_it_up(namespace):
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
    namespace.helm("uninstall", "openaisle", "--wait")
    wait_for("the objects to be gone", lambda: objects() == before | {"secret/openaisle-keys"}, timeout_s=60)
    namespace.install(values=QUIET)
    assert namespace.key() == key
    namespace.helm("uninstall", "openaisle", "--wait")
