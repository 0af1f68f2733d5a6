"""What users see while a pod is gone."""

import time

from tests.cluster.conftest import wait_for


def test_requests_wait_while_a_killed_model_comes_back(release):
    assert release.complete().status_code == 200
    release.namespace.kubectl(
        "delete", "pod", "openaisle-tiny-opt-0", "--grace-period=0", "--force", "--wait=false"
    )

    def waited():
        began = time.monotonic()
        answer = release.complete(timeout_s=120)
        # One that was running when the pod died is broken off.
        assert answer.status_code in (200, 502), answer.text
        return answer.status_code == 200 and time.monotonic() - began > 1.5

    wait_for("a request that waited for the next pod", waited, timeout_s=60)
    assert release.complete().status_code == 200


def test_a_killed_gateway_is_replaced(release):
    pods = release.namespace.get("pods", "", "-l", "app.kubernetes.io/component=adapter")
    release.namespace.kubectl("delete", "pod", pods[0]["metadata"]["name"], "--grace-period=0", "--force")
    wait_for("the gateway to be back", lambda: release.complete().status_code == 200, timeout_s=60)
