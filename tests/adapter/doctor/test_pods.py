"""Why pods aren't ready, from their status as the kubelet and the scheduler write it."""

import pytest
from openaisle_adapter.doctor.checks.pods import check_pods
from openaisle_adapter.doctor.checks.token import check_token

from tests.adapter.doctor.objects import event, model, pod, release_labels, view


def waiting(reason, message="", **more):
    return {
        "name": "opt",
        "image": "openaisle/opt:0.2.0",
        "ready": False,
        "state": {"waiting": {"reason": reason, "message": message}},
        **more,
    }


def ended(reason, exit_code, message="", **more):
    state = {"terminated": {"reason": reason, "exitCode": exit_code, "message": message}}
    return waiting("CrashLoopBackOff", lastState=state, restartCount=5, **more)


def unscheduled(message):
    return pod(
        phase="Pending",
        family="turing",
        conditions=[{"type": "PodScheduled", "status": "False", "message": message}],
    )


AFFINITY = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3"

CASES = {
    "unscheduled: no node of the family": (
        unscheduled(AFFINITY),
        "is Pending: 0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
        "no node of the family turing has room",
        "pending",
    ),
    "unscheduled: GPUs are taken": (
        unscheduled("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
        "Insufficient nvidia.com/gpu",
        "all nvidia.com/gpu are taken, or no node has as many",
        "pending",
    ),
    "unscheduled: too much memory": (
        unscheduled("0/1 nodes are available: 1 Insufficient memory."),
        "Insufficient memory",
        "lower the memory in resources.requests",
        "pending",
    ),
    "unscheduled: a taint": (
        unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint {sku: gpu}."),
        "untolerated taint",
        "{key: sku, operator: Exists}",
        "pending",
    ),
    "unscheduled: a claim that isn't there": (
        unscheduled('0/1 nodes are available: persistentvolumeclaim "weights" not found.'),
        "not found",
        "make the PersistentVolumeClaim weights",
        "volumes",
    ),
    "unscheduled: an unbound claim": (
        unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
        "unbound",
        "kubectl get storageclass",
        "volumes",
    ),
    "image": (
        pod(
            phase="Pending",
            containerStatuses=[
                waiting("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: pull access denied')
            ],
        ),
        "gets no image openaisle/opt:0.2.0 (ImagePullBackOff: pull access denied)",
        "image.pullSecrets",
        "image-pull",
    ),
    "secret": (
        pod(
            phase="Pending",
            containerStatuses=[waiting("CreateContainerConfigError", 'secret "hub-token" not found')],
        ),
        'secret "hub-token" not found',
        "kubectl -n lab create secret generic hub-token",
        "secrets",
    ),
    "key of a secret": (
        pod(
            phase="Pending",
            containerStatuses=[
                waiting("CreateContainerConfigError", "couldn't find key token in Secret lab/hub-token")
            ],
        ),
        "couldn't find key token",
        'kubectl -n lab patch secret hub-token -p \'{"stringData": {"token"',
        "secrets",
    ),
    "crash": (
        pod(
            containerStatuses=[ended("Error", 1, "Starting\nThe model folder /models has no config.json.\n")]
        ),
        "its last words: The model folder /models has no config.json.",
        "kubectl -n lab logs openaisle-m-0 -c opt --previous",
        "crashloop",
    ),
    "crash of the download": (
        pod(
            initContainerStatuses=[ended("Error", 1, "The Hub answered 401.", name="fetch")],
            containerStatuses=[waiting("PodInitializing")],
        ),
        "container fetch, exit code 1, 5 restarts); its last words: The Hub answered 401.",
        "-c fetch --previous",
        "crashloop",
    ),
    "out of memory": (
        pod(containerStatuses=[ended("OOMKilled", 137)]),
        "was killed at its memory limit of 1Gi (OOMKilled)",
        "resources.limits.memory",
        "oomkilled",
    ),
    "evicted": (
        pod(phase="Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage."),
        "was ended: The node was low on resource: ephemeral-storage.",
        "kubectl -n lab describe pod openaisle-m-0",
        "evicted",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pod_that_will_not_get_ready_by_itself(case):
    found, text, cure, see = CASES[case]
    (finding,) = check_pods(view(statefulsets=[model()], pods=[found]))
    assert finding.status == "fail"
    assert finding.text.startswith("model m: the pod openaisle-m-0 ")
    assert text in finding.text
    assert cure in finding.cure
    assert finding.see == see


def running(**more):
    return {"name": "opt", "ready": False, "state": {"running": {}}} | more


def test_a_pod_that_loads_its_model():
    (finding,) = check_pods(view(statefulsets=[model()], pods=[pod(containerStatuses=[running()])]))
    assert finding.status == "warn"
    assert finding.text.endswith("isn't ready yet, 300 s after its start")
    assert "kubectl -n lab logs openaisle-m-0" in finding.cure


def test_a_pod_that_fetches_its_weights():
    fetching = pod(
        phase="Pending",
        initContainerStatuses=[running(name="download")],
        containerStatuses=[waiting("PodInitializing")],
    )
    (finding,) = check_pods(view(statefulsets=[model()], pods=[fetching]))
    assert finding.status == "warn"
    assert finding.text.endswith("fetches its weights, 300 s after its start")
    assert finding.cure == "how far it is: kubectl -n lab logs openaisle-m-0 -c download --tail=1"


def test_a_pod_whose_volume_cannot_be_mounted():
    found = pod(phase="Pending", containerStatuses=[waiting("ContainerCreating")])
    mount = event("openaisle-m-0", "FailedMount", 'MountVolume.SetUp failed: secret "ours" not found')
    (finding,) = check_pods(view(statefulsets=[model()], pods=[found], events=[mount]))
    assert finding.status == "fail"
    assert 'secret "ours" not found' in finding.text
    assert finding.cure == "make the Secret that it names; the pod starts by itself then"


def test_a_pod_that_is_being_created():
    found = pod(phase="Pending", containerStatuses=[waiting("ContainerCreating")])
    (finding,) = check_pods(view(statefulsets=[model()], pods=[found]))
    assert (finding.status, finding.cure) == ("warn", "wait a moment, then ask again")


def test_pods_that_the_api_server_refuses_to_make():
    refused = event("openaisle-m", "FailedCreate", 'pods "openaisle-m-0" is forbidden: exceeded quota: gpus')
    (finding,) = check_pods(view(statefulsets=[model(replicas=2)], events=[refused]))
    assert finding.status == "fail"
    assert (
        '2 of 2 pods cannot be made: pods "openaisle-m-0" is forbidden: exceeded quota: gpus' in finding.text
    )


def test_pods_that_are_ready():
    (finding,) = check_pods(view(statefulsets=[model()], pods=[pod(ready=True)]))
    assert (finding.status, finding.text) == ("ok", "model m: 1 of 1 pods ready")


def test_a_model_of_zero_replicas():
    (finding,) = check_pods(view(statefulsets=[model(replicas=0)]))
    assert finding.status == "ok"


def test_a_pod_that_runs_again_after_a_crash_is_well():
    well = running(ready=True, lastState={"terminated": {"exitCode": 1, "reason": "Error"}}, restartCount=1)
    (finding,) = check_pods(view(statefulsets=[model()], pods=[pod(ready=True, containerStatuses=[well])]))
    assert finding.status == "ok"


def test_pods_of_another_release_are_not_looked_at():
    other = pod(phase="Failed")
    other["metadata"]["labels"]["app.kubernetes.io/instance"] = "other"
    assert not [
        finding
        for finding in check_pods(view(statefulsets=[model()], pods=[other, pod(ready=True)]))
        if finding.status != "ok"
    ]


def test_a_token_that_its_pods_have_got():
    source = {"secretKeyRef": {"name": "hub", "key": "token"}}
    workload = model(env=[{"name": "HF_TOKEN", "valueFrom": source}])
    (finding,) = check_token(view(statefulsets=[workload], pods=[pod(containerStatuses=[running()])]))
    assert finding.text == "model m: its pods have got token of the Secret hub"
    assert not list(check_token(view(statefulsets=[workload], pods=[unscheduled("")])))


def test_a_model_at_rest_is_well_and_a_part_at_rest_is_not():
    deployment = {
        "metadata": {"name": "openaisle-operator", "labels": release_labels("operator")},
        "spec": {"replicas": 0, "selector": {"matchLabels": release_labels("operator")}},
    }
    found = list(check_pods(view(statefulsets=[model(replicas=0)], deployments=[deployment], pods=[])))
    assert [(finding.status, finding.text) for finding in found] == [
        ("ok", "model m: zero replicas, as its values say"),
        ("warn", "operator: zero replicas, so that nothing does its work"),
    ]
    assert found[1].cure == "kubectl -n lab scale deployment/openaisle-operator --replicas=1"
