"""`helm install` with default values, in a namespace that enforces "restricted"."""


def test_the_first_completion_comes_within_forty_seconds(release, record_property):
    seconds = release.seconds_to_first_completion
    record_property("seconds_to_first_completion", seconds)
    print(f"helm install to the first completion through the Ingress: {seconds:.1f} s")
    assert seconds < 40


def test_the_notes_hold_the_lines_to_copy(release):
    line = next(line for line in release.notes.splitlines() if line.strip().startswith("KEY="))
    name = release.namespace.name
    assert f"kubectl -n {name} get secret openaisle-keys" in line


def test_every_pod_is_ready(release):
    pods = release.namespace.get("pods")
    assert {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods} >= {
        "opt",
        "adapter",
        "demo",
    }
    for deployment in ("openaisle-adapter", "openaisle-demo"):
        release.namespace.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=60s")


def test_helm_test_asks_for_real_answers(release):
    output = release.namespace.helm("test", "openaisle", "--logs")
    for check in ("models", "completion", "stream", "echo logprobs", "401 without key", "page"):
        assert f"ok    {check}" in output
    assert "FAIL" not in output
