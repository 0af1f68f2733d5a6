"""What the doctor says of the Jobs that fetch weights ahead."""

import pytest
from openaisle_adapter.doctor.checks.preload import check_preload
from openaisle_adapter.doctor.view import Unseen

from tests.adapter.doctor.objects import release_labels, view

JOB = "openaisle-m-preload-0a1b2c3d"
UNKNOWN = "fetch: The Hub has no model lab/m, or it is private; check the id, or set HF_TOKEN."


def job(condition="", **status):
    conditions = [{"type": condition, "status": "True"}] if condition else []
    labels = release_labels("preload", "m")
    return {
        "metadata": {"name": JOB, "labels": labels},
        "spec": {},
        "status": {**status, "conditions": conditions},
    }


def job_pod(number, phase="Failed", message="", **state):
    ended = {"exitCode": 1, "finishedAt": f"2026-01-01T11:5{number}:00Z", "message": message}
    labels = release_labels("preload", "m") | {"batch.kubernetes.io/job-name": JOB}
    container = {"name": "download", "image": "openaisle/opt:1", "state": state or {"terminated": ended}}
    return {
        "metadata": {"name": f"{JOB}-{number}", "labels": labels},
        "spec": {"containers": [{"name": "download"}]},
        "status": {"phase": phase, "containerStatuses": [container]},
    }


def test_a_job_that_has_given_up_is_named_with_what_it_said_last():
    pods = [job_pod(2, message=f"Fetching lab/m\n{UNKNOWN}\n"), job_pod(1, message="another reason")]
    (finding,) = check_preload(view(jobs=[job("Failed", failed=4)], pods=pods))
    assert finding.status == "fail"
    assert finding.text == f"model m: the Job {JOB} has given up after 4 tries; its last words: {UNKNOWN}"
    assert finding.cure.startswith(f"kubectl -n lab logs job/{JOB} --tail=20; once that is mended, ")
    assert f"kubectl -n lab delete job {JOB}" in finding.cure


@pytest.mark.parametrize(
    ("found", "pods", "status", "text"),
    [
        (job("Complete", succeeded=1), [], "ok", "has fetched the weights"),
        (job(active=1), [job_pod(0, "Running", running={})], "warn", "is still fetching the weights"),
        (job(), [], "warn", "is still fetching the weights"),
        (
            job(failed=2, active=1),
            [job_pod(0, message=UNKNOWN), job_pod(1, "Running", running={})],
            "warn",
            f"has failed 2 times and will try again; its last words: {UNKNOWN}",
        ),
        (job("Failed", failed=4), [], "fail", "has given up after 4 tries; its pods are gone"),
        (job("Failed", failed=4), [job_pod(0)], "fail", "it ended with 1"),
        (job("Failed", failed=4), [job_pod(0, message=UNKNOWN), job_pod(1)], "fail", UNKNOWN),
    ],
)
def test_how_far_a_job_is(found, pods, status, text):
    (finding,) = check_preload(view(jobs=[found], pods=pods))
    assert finding.status == status
    assert finding.text.startswith(f"model m: the Job {JOB} ")
    assert text in finding.text


def test_a_pod_of_the_job_that_cannot_start_is_explained():
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "hub-token" not found'}
    (finding,) = check_preload(view(jobs=[job(active=1)], pods=[job_pod(0, "Pending", waiting=waiting)]))
    assert finding.status == "fail"
    assert 'secret "hub-token" not found' in finding.text
    assert "create secret generic hub-token" in finding.cure


def test_jobs_of_others_are_left_alone():
    other = job("Failed")
    other["metadata"]["labels"] |= {"app.kubernetes.io/instance": "other"}
    doctors = job("Failed")
    doctors["metadata"]["labels"] |= {"app.kubernetes.io/component": "doctor"}
    assert list(check_preload(view(jobs=[other, doctors]))) == []


def test_jobs_that_may_not_be_seen():
    with pytest.raises(Unseen, match="jobs"):
        list(check_preload(view(jobs=None)))
