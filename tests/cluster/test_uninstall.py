"""`helm uninstall`, what a new install finds, and what is kept and restored as the documents say."""

import os
import re

from tests.cluster.conftest import CHART, run, wait_for

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


def test_what_the_documents_keep_is_restored_elsewhere(new_namespace, root, tmp_path):
    section = (root / "docs/kubernetes.md").read_text().split("Keep both:")[1]
    keep, restore = re.findall(r"```console\n(.*?)```", section, re.DOTALL)[:2]

    def follow(block, namespace):
        script = block.replace("-n openaisle", f"-n {namespace.name}").replace("charts/openaisle", str(CHART))
        script = script.replace("helm ", f"{os.environ.get('HELM', 'helm')} ")
        run("bash", "-euc", f"cd {tmp_path}\n{script}")

    here, elsewhere = new_namespace(), new_namespace()
    here.install(values=QUIET | {"auth": {"keys": {"alice": "sk-0123456789", "bob": "sk-9876543210"}}})
    follow(keep, here)
    follow(restore, elsewhere)
    assert elsewhere.get("secret", "our-keys")["data"] == here.get("secret", "openaisle-keys")["data"]
    assert elsewhere.get("statefulset", "openaisle-m")
    for namespace in (here, elsewhere):
        namespace.helm("uninstall", "openaisle")
