"""What a round for a model does at the API server."""

import copy

import kopf
import pytest
from openaisle_operator.api import Api
from openaisle_operator.errors import ApiError
from openaisle_operator.reconciler import Reconciler

from tests.operator.conftest import opt_model
from tests.operator.fake_kubernetes import fake_kubernetes


@pytest.fixture
async def kubernetes():
    async with fake_kubernetes() as server:
        yield server


@pytest.fixture
async def api(kubernetes):
    async with Api(lambda: kopf.ConnectionInfo(server=kubernetes.url), "lab") as client:
        yield client


@pytest.fixture
def events():
    """(model's name, type, reason, message) of each Event."""
    return []


@pytest.fixture
def reconciler(api, renderer, release, events):
    """reconciler(values) -> the Reconciler of a release with these values."""

    def make(values=None):
        def announce(model, *event):
            events.append((model["metadata"]["name"], *event))

        return Reconciler(api, renderer(values), release(values), announce)

    return make


def condition(kubernetes, name, type):
    for entry in kubernetes.one("optmodels", name)["status"]["conditions"]:
        if entry["type"] == type:
            return entry["status"], entry["reason"]
    return None


async def test_makes_the_objects_and_marks_them_as_the_models(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("m", replicas=2))
    assert await reconciler().reconcile("m") is True
    for plural in ("services", "statefulsets", "networkpolicies", "poddisruptionbudgets"):
        metadata = kubernetes.one(plural, "openaisle-m")["metadata"]
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "openaisle-operator"
        assert metadata["labels"]["openaisle.io/optmodel"] == "m"
        (owner,) = metadata["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("OPTModel", "m", "uid-m")
    assert kubernetes.one("statefulsets", "openaisle-m")["spec"]["replicas"] == 2
    assert condition(kubernetes, "m", "Accepted") == ("True", "Accepted")
    assert condition(kubernetes, "m", "Ready") == ("False", "Loading")


async def test_the_status_follows_the_workload(kubernetes, reconciler, events):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    await rounds.reconcile("m")
    kubernetes.one("statefulsets", "openaisle-m")["status"] = {
        "replicas": 1,
        "readyReplicas": 1,
        "updatedReplicas": 1,
        "observedGeneration": 1,
    }
    await rounds.reconcile("m")
    status = kubernetes.one("optmodels", "m")["status"]
    assert condition(kubernetes, "m", "Ready") == ("True", "Serving")
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    assert (status["gpuFamily"], status["servedName"]) == ("cpu", "openaisle/tiny-opt")
    assert "openaisle.io/model-name=m" in status["selector"]
    assert status["observedGeneration"] == 1
    assert events == [("m", "Normal", "Ready", "1 of 1 replicas are ready.")]


async def test_a_round_without_news_writes_no_status(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    await rounds.reconcile("m")
    before = len([change for change in kubernetes.changes if change.startswith("status")])
    await rounds.reconcile("m")
    assert len([change for change in kubernetes.changes if change.startswith("status")]) == before


async def test_a_deleted_or_edited_object_comes_back(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    await rounds.reconcile("m")
    made = copy.deepcopy(kubernetes.objects)
    del kubernetes.objects["services"]["openaisle-m"]
    kubernetes.one("statefulsets", "openaisle-m")["spec"]["replicas"] = 7
    await rounds.reconcile("m")
    assert kubernetes.objects["services"] == made["services"]
    assert kubernetes.objects["statefulsets"] == made["statefulsets"]


async def test_what_is_no_longer_rendered_goes_and_volumes_stay(kubernetes, reconciler):
    hub = {"model": "facebook/opt-125m", "weights": {"preload": True, "cache": {"type": "shared"}}}
    kubernetes.put("optmodels", opt_model("m", **hub))
    rounds = reconciler()
    await rounds.reconcile("m")
    assert len(kubernetes.names("jobs")) == 1
    (volume,) = kubernetes.names("persistentvolumeclaims")
    assert "ownerReferences" not in kubernetes.one("persistentvolumeclaims", volume)["metadata"]
    kubernetes.put("optmodels", opt_model("m"))
    await rounds.reconcile("m")
    assert kubernetes.names("jobs") == set()
    assert kubernetes.names("persistentvolumeclaims") == {volume}


@pytest.mark.parametrize(
    ("model", "size", "storage"),
    [
        ("facebook/opt-1.3b", "", "38Gi"),
        ("facebook/opt-13b", "", "72Gi"),
        # What is written is asked for, and the API server says what it thinks of it.
        ("facebook/opt-1.3b", "9000Mi", "9000Mi"),
    ],
)
async def test_a_volume_stays_when_a_smaller_model_takes_it_over(
    kubernetes, reconciler, model, size, storage
):
    def hub(model, size=""):
        return opt_model("m", model=model, weights={"cache": {"type": "shared", "size": size}})

    kubernetes.put("optmodels", hub("facebook/opt-6.7b"))
    rounds = reconciler()
    await rounds.reconcile("m")
    kubernetes.put("optmodels", hub(model, size))
    await rounds.reconcile("m")
    claim = kubernetes.one("persistentvolumeclaims", "openaisle-m-weights")
    assert claim["spec"]["resources"]["requests"]["storage"] == storage


@pytest.mark.parametrize("size", ["100Gi", "1Ti", "1Pi", "1P", "1Ei", "1E"])
async def test_a_volume_that_somebody_made_larger_stays_as_large(kubernetes, reconciler, size):
    model = opt_model("m", model="facebook/opt-1.3b", weights={"cache": {"type": "shared"}})
    kubernetes.put("optmodels", model)
    rounds = reconciler()
    await rounds.reconcile("m")
    claim = kubernetes.one("persistentvolumeclaims", "openaisle-m-weights")
    claim["spec"]["resources"]["requests"]["storage"] = size
    kubernetes.put("persistentvolumeclaims", claim)
    await rounds.reconcile("m")
    claim = kubernetes.one("persistentvolumeclaims", "openaisle-m-weights")
    assert claim["spec"]["resources"]["requests"]["storage"] == size


async def test_another_workload_takes_the_place_of_the_first(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    await rounds.reconcile("m")
    kubernetes.put("optmodels", opt_model("m", rollout="surge"))
    await rounds.reconcile("m")
    assert kubernetes.names("deployments") == {"openaisle-m"}
    assert kubernetes.names("statefulsets") == set()


async def test_a_refused_model_gets_no_objects_and_says_why(kubernetes, reconciler, events):
    kubernetes.put("optmodels", opt_model("m", gpuFamily="turning"))
    await reconciler().reconcile("m")
    assert condition(kubernetes, "m", "Accepted") == ("False", "UnknownFamily")
    assert condition(kubernetes, "m", "Ready") == ("False", "NotMade")
    assert kubernetes.one("optmodels", "m")["status"]["gpuFamily"] == "turning"
    assert [change for change in kubernetes.changes if change.startswith("apply")] == []
    ((name, type, reason, message),) = events
    assert (name, type, reason) == ("m", "Warning", "UnknownFamily")
    assert "gpuFamily turning doesn't exist" in message


@pytest.mark.parametrize("family", [7, [], {"name": "turing"}, [7], [["turing"]]])
async def test_a_family_that_is_no_text_is_a_condition(kubernetes, reconciler, family):
    """The definition cannot say "a text or a list of them", so the API server takes all of these."""
    kubernetes.put("optmodels", opt_model("m", gpuFamily=family))
    await reconciler().reconcile("m")
    assert condition(kubernetes, "m", "Accepted") == ("False", "InvalidSpec")
    assert kubernetes.one("optmodels", "m")["status"]["gpuFamily"] is None


async def test_a_name_that_is_no_label_is_a_condition(kubernetes, reconciler):
    name = "a" * 64
    kubernetes.put("optmodels", opt_model(name))
    await reconciler().reconcile(name)
    assert condition(kubernetes, name, "Accepted") == ("False", "NameTooLong")
    assert condition(kubernetes, name, "Ready") == ("False", "NotMade")


async def test_a_refused_change_leaves_what_serves(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    await rounds.reconcile("m")
    made = copy.deepcopy(kubernetes.objects["statefulsets"])
    kubernetes.one("optmodels", "m")["spec"] = {"gpus": 4}
    await rounds.reconcile("m")
    assert condition(kubernetes, "m", "Accepted") == ("False", "InvalidSpec")
    assert kubernetes.objects["statefulsets"] == made


async def test_two_models_with_one_served_name(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("a", age=9))
    kubernetes.put("optmodels", opt_model("b"))
    rounds = reconciler()
    await rounds.reconcile("a")
    await rounds.reconcile("b")
    assert condition(kubernetes, "b", "Accepted") == ("False", "ServedNameTaken")
    assert kubernetes.names("statefulsets") == {"openaisle-a"}
    del kubernetes.objects["optmodels"]["a"]
    await rounds.reconcile("b")
    assert condition(kubernetes, "b", "Accepted") == ("True", "Accepted")


async def test_a_model_of_the_releases_values_is_never_touched(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("tiny-opt", servedModelName="other"))
    await reconciler({"models": [{"name": "tiny-opt"}]}).reconcile("tiny-opt")
    assert condition(kubernetes, "tiny-opt", "Accepted") == ("False", "NameTaken")


async def test_an_object_of_someone_else_is_never_touched(kubernetes, reconciler):
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "openaisle-m"},
        "spec": {"type": "NodePort"},
    }
    kubernetes.put("services", copy.deepcopy(theirs))
    kubernetes.put("optmodels", opt_model("m"))
    await reconciler().reconcile("m")
    assert condition(kubernetes, "m", "Accepted") == ("False", "NameTaken")
    assert kubernetes.one("services", "openaisle-m") == theirs
    assert kubernetes.names("statefulsets") == set()


async def test_objects_of_an_earlier_model_of_the_name_are_waited_for(kubernetes, reconciler):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    await rounds.reconcile("m")
    reborn = kubernetes.put("optmodels", opt_model("m"))
    reborn["metadata"]["uid"] = "another"
    with pytest.raises(ApiError, match="earlier OPTModel of this name is still being deleted"):
        await rounds.reconcile("m")


async def test_what_cannot_be_changed_in_place_is_made_anew(kubernetes, reconciler, events):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    await rounds.reconcile("m")
    kubernetes.changes.clear()
    forbidden = "updates to statefulset spec for fields other than 'replicas' are forbidden"
    kubernetes.refusals["apply statefulsets/openaisle-m"] = (422, forbidden)
    await rounds.reconcile("m")
    workload = [change for change in kubernetes.changes if "statefulsets" in change]
    # The pods stay: the StatefulSet alone is deleted.
    assert workload == [
        "apply statefulsets/openaisle-m",
        "delete statefulsets/openaisle-m Orphan",
        "apply statefulsets/openaisle-m",
    ]
    assert condition(kubernetes, "m", "Accepted") == ("True", "Accepted")
    assert [event[2] for event in events] == ["Recreated"]


@pytest.mark.parametrize("status", [403, 422, 500])
async def test_says_what_the_api_server_refuses_and_tries_again(kubernetes, reconciler, status):
    kubernetes.put("optmodels", opt_model("m"))
    rounds = reconciler()
    kubernetes.refusals["apply services/openaisle-m"] = (status, "exceeded quota: services=0")
    with pytest.raises(ApiError, match="exceeded quota"):
        await rounds.reconcile("m")
    assert condition(kubernetes, "m", "Accepted") == ("False", "ApiServerRefuses")
    await rounds.reconcile("m")
    assert condition(kubernetes, "m", "Accepted") == ("True", "Accepted")


async def test_a_model_that_is_gone(kubernetes, reconciler):
    rounds = reconciler()
    assert await rounds.reconcile("m") is False
    leaving = kubernetes.put("optmodels", opt_model("m"))
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert await rounds.reconcile("m") is False
    assert kubernetes.changes == []


async def test_an_api_server_that_is_away(reconciler, api, kubernetes):
    api._server = "http://127.0.0.1:1"
    with pytest.raises(ApiError, match=r"GET /apis/.*/namespaces/lab/optmodels: "):
        await reconciler().reconcile("m")
