"""What the condition Ready says of a workload and its pods."""

import pytest
from openaisle_operator.readiness import last_line, ready_condition


def workload(wanted=1, ready=0, updated=None, observed=1):
    status = {
        "readyReplicas": ready,
        "updatedReplicas": wanted if updated is None else updated,
        "observedGeneration": observed,
    }
    return {"metadata": {"generation": 1}, "spec": {"replicas": wanted}, "status": status}


def pod(**status):
    return {"metadata": {"name": "openaisle-m-0"}, "status": status}


def container(state, name="opt", **more):
    return {"name": name, "image": "openaisle/opt:0.2.0", "ready": False, "state": state, **more}


def test_all_replicas_answer():
    condition = ready_condition(workload(2, 2), [])
    assert (condition.status, condition.reason) == (True, "Serving")
    assert condition.message == "2 of 2 replicas are ready."


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "NotMade"),
        (workload(0), "ScaledToZero"),
        (workload(2, 1), "Updating"),
        (workload(2, 2, updated=1), "Updating"),
        (workload(1, 1, observed=0), "Updating"),
        (workload(1, 0), "Loading"),
    ],
)
def test_not_ready_without_trouble(found, reason):
    condition = ready_condition(found, [pod(phase="Running")])
    assert (condition.status, condition.reason) == (False, reason)


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "message": "0/5 nodes are available: 5 Insufficient nvidia.com/gpu.",
}
PULL = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}}
LOST_SECRET = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "hub" not found'}}
CRASHED = {"terminated": {"exitCode": 1, "message": "loading\nserve-opt: There is no model in /models.\n\n"}}
OOM = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}
FETCH = {"terminated": {"exitCode": 1, "message": "10 %\nThe Hub answered 401: set weights.tokenSecret."}}


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (
            {"conditions": [UNSCHEDULABLE]},
            "Pending",
            "0/5 nodes are available: 5 Insufficient nvidia.com/gpu.",
        ),
        ({"containerStatuses": [container(PULL)]}, "ImagePull", 'Back-off pulling image "x"'),
        ({"initContainerStatuses": [container(PULL, "download")]}, "ImagePull", "Back-off pulling"),
        ({"containerStatuses": [container(LOST_SECRET)]}, "ContainerError", 'secret "hub" not found'),
        (
            {"containerStatuses": [container(CRASHED)]},
            "CrashLoop",
            "serve-opt: There is no model in /models.",
        ),
        (
            {"containerStatuses": [container(WAITING, lastState=CRASHED)]},
            "CrashLoop",
            "serve-opt: There is no model in /models.",
        ),
        (
            {"containerStatuses": [container({"running": {}}, lastState=OOM)]},
            "OutOfMemory",
            "took more memory than its limit",
        ),
        (
            {"initContainerStatuses": [container(WAITING, "download", lastState=FETCH)]},
            "WeightsFailed",
            "The Hub answered 401: set weights.tokenSecret.",
        ),
        (
            {"containerStatuses": [container(WAITING, lastState={"terminated": {"exitCode": 3}})]},
            "CrashLoop",
            "ended with code 3; kubectl logs --previous",
        ),
        (
            {"phase": "Failed", "message": "The node was low on memory."},
            "Evicted",
            "The node was low on memory.",
        ),
    ],
)
def test_names_what_keeps_a_pod_from_serving(status, reason, message):
    condition = ready_condition(workload(), [pod(**status)])
    assert (condition.status, condition.reason) == (False, reason)
    assert condition.message.startswith("openaisle-m-0: ")
    assert message in condition.message


QUOTA = 'create Pod openaisle-m-0 in StatefulSet openaisle-m failed error: pods "openaisle-m-0" is forbidden'


def test_says_why_no_pod_is_made():
    events = [
        {"lastTimestamp": "2026-01-01T00:00:01Z", "message": "another reason"},
        {"lastTimestamp": "2026-01-01T00:00:02Z", "message": QUOTA},
    ]
    condition = ready_condition(workload(), [], events)
    assert (condition.status, condition.reason, condition.message) == (False, "PodRefused", QUOTA)
    # Events stay for an hour; a pod that is there outdates them.
    assert ready_condition(workload(), [pod(phase="Running")], events).reason == "Loading"


def test_says_why_a_deployment_makes_no_pod():
    refused = workload()
    refused["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    ]
    assert ready_condition(refused, []).message == "exceeded quota"


def test_a_download_that_is_done_is_no_trouble():
    done = container({"terminated": {"exitCode": 0}}, "download")
    loading = container({"running": {}})
    assert ready_condition(
        workload(), [pod(initContainerStatuses=[done], containerStatuses=[loading])]
    ).reason == ("Loading")


def test_a_pod_that_is_leaving_is_no_trouble():
    leaving = pod(containerStatuses=[container(CRASHED)])
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert ready_condition(workload(), [leaving]).reason == "Loading"


def test_one_bad_replica_is_named_while_others_serve():
    condition = ready_condition(workload(2, 1), [pod(phase="Running"), pod(conditions=[UNSCHEDULABLE])])
    assert condition.reason == "Pending"


def test_the_last_word_is_the_last_line_that_says_something():
    assert last_line("a\nb \n \n") == "b"
    assert last_line("") == ""
