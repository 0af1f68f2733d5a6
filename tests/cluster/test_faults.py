"""What users see while a pod is gone."""

from tests.cluster.conftest import wait_for


def test_a_killed_model_answers_503_and_then_works_again_by_itself(release):
    assert release.complete().status_code == 200
    release.namespace.kubectl(
        "delete", "pod", "openaisle-tiny-opt-0", "--grace-period=0", "--force", "--wait=false"
    )

    def answer_503():
        answer = release.complete()
        return answer if answer.status_code != 200 else None

    gone = wait_for("the model to be gone", answer_503, timeout_s=20)
    assert gone.status_code == 503, gone.text
    assert int(gone.headers["retry-after"]) >= 1
    assert gone.json()["error"].keys() == {"message", "type", "param", "code"}

    seen = set()

    def works_again():
        answer = release.complete()
        seen.add(answer.status_code)
        return answer.status_code == 200

    wait_for("the model to be back", works_again, timeout_s=90)
    assert seen <= {200, 503}


def test_a_killed_gateway_is_replaced(release):
    pods = release.namespace.get("pods", "", "-l", "app.kubernetes.io/component=adapter")
    release.namespace.kubectl("delete", "pod", pods[0]["metadata"]["name"], "--grace-period=0", "--force")
    wait_for("the gateway to be back", lambda: release.complete().status_code == 200, timeout_s=60)
