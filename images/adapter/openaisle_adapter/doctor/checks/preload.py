"""The Jobs that fetch weights ahead of the pods that share them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..finding import Finding
from ..view import MODEL_NAME, Object, View, labels, name
from .pods import condition, diagnose

JOB_NAME = "batch.kubernetes.io/job-name"


def check_preload(view: View) -> Iterator[Finding]:
    """A line for each such Job: done, failed, or still at it and how.

    Raises:
        Unseen: the account may not list Jobs or pods.
    """
    jobs = view.of_release("jobs", "preload")
    pods = view.of_release("pods", "preload")
    for job in jobs:
        yield _judge(view, job, [pod for pod in pods if labels(pod).get(JOB_NAME) == name(job)])


def _judge(view: View, job: Object, pods: list[Object]) -> Finding:
    status: dict[str, Any] = job.get("status") or {}
    where = f"model {labels(job).get(MODEL_NAME, '')}: the Job {name(job)}"
    if condition(status, "Complete").get("status") == "True":
        return Finding("preload", "ok", f"{where} has fetched the weights")
    log = f"kubectl -n {view.namespace} logs job/{name(job)} --tail=20"
    if condition(status, "Failed").get("status") == "True":
        return Finding(
            "preload",
            "fail",
            f"{where} has given up after {status.get('failed', 0)} tries; {_last_words(pods)}",
            f"{log}; once that is mended, kubectl -n {view.namespace} delete job {name(job)}, "
            "and helm upgrade makes it again",
            "preload",
        )
    for pod in pods:
        going = (pod.get("status") or {}).get("phase") != "Failed"
        if going and (finding := diagnose(view, pod)) and finding.status == "fail":
            return Finding("preload", "fail", finding.text, finding.cure, finding.see)
    if failed := status.get("failed", 0):
        text = f"{where} has failed {failed} times and will try again; {_last_words(pods)}"
        return Finding("preload", "warn", text, log, "preload")
    return Finding(
        "preload", "warn", f"{where} is still fetching the weights", f"how far it is: {log}", "preload"
    )


def _last_words(pods: list[Object]) -> str:
    """What was said last: one that was killed, or whose log is gone, says nothing."""
    ended = [
        status["state"]["terminated"]
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or []
        if "terminated" in (status.get("state") or {})
    ]
    if not ended:
        return "its pods are gone"
    said = [state for state in ended if str(state.get("message", "")).strip()]
    last = max(said or ended, key=lambda state: str(state.get("finishedAt", "")))
    lines = [line.strip() for line in str(last.get("message", "")).splitlines() if line.strip()]
    return f"its last words: {lines[-1][:300]}" if lines else f"it ended with {last.get('exitCode', '?')}"
