"""How conditions are written."""

from openaisle_operator.conditions import Condition, changed, merge

ACCEPTED = Condition("Accepted", True, "Accepted", "The model's objects are made.")
LOADING = Condition("Ready", False, "Loading", "0 of 1 replicas are ready.")
SERVING = Condition("Ready", True, "Serving", "1 of 1 replicas are ready.")
CRASHING = Condition("Ready", False, "CrashLoop", "no model")


def test_the_time_changes_with_the_status_only():
    first = merge([], [ACCEPTED, LOADING], 1, "t1")
    second = merge(first, [ACCEPTED, CRASHING], 2, "t2")
    third = merge(second, [ACCEPTED, SERVING], 2, "t3")
    assert [entry["lastTransitionTime"] for entry in second] == ["t1", "t1"]
    assert [entry["lastTransitionTime"] for entry in third] == ["t1", "t3"]
    assert third[1] == {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "message": "1 of 1 replicas are ready.",
        "observedGeneration": 2,
        "lastTransitionTime": "t3",
    }


def test_another_reason_is_a_change_and_another_message_is_none():
    old = merge([], [ACCEPTED, LOADING], 1, "t1")
    assert changed(old, [ACCEPTED, Condition("Ready", False, "Loading", "another")]) == []
    assert changed(old, [ACCEPTED, CRASHING]) == [CRASHING]
    assert changed([], [ACCEPTED]) == [ACCEPTED]


def test_a_long_message_is_cut_to_what_kubernetes_takes():
    (entry,) = merge([], [Condition("Ready", False, "CrashLoop", "x" * 100_000)], 1, "t")
    assert len(entry["message"]) == 2000
