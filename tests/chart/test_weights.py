"""Where a model's weights come from, and who fetches them."""

import pytest

from tests.chart.conftest import model

HUB = "facebook/opt-125m"


def download(objects, name="openaisle-m"):
    (container,) = objects.pod(name)["spec"]["initContainers"]
    assert container["name"] == "download"
    return container


def jobs(objects):
    return list(objects.of("Job").values())


class TestFromTheHub:
    def test_an_init_container_fetches_with_a_token_and_from_a_mirror(self, render):
        weights = {"endpoint": "https://hf.example.org", "revision": "v1", "tokenSecret": {"name": "hub"}}
        container = download(render(model(model=HUB, weights=weights)))
        assert container["command"] == [
            "python",
            "-m",
            "openaisle_opt.fetch",
            HUB,
            "--into=/models",
            "--port=8000",
            "--revision=v1",
        ]
        assert {"name": "HF_ENDPOINT", "value": "https://hf.example.org"} in container["env"]
        token = {"secretKeyRef": {"name": "hub", "key": "token"}}
        assert {"name": "HF_TOKEN", "valueFrom": token} in container["env"]
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"

    def test_the_server_reads_what_is_there_and_holds_no_token(self, render):
        weights = {"revision": "v1", "tokenSecret": {"name": "hub"}}
        container = render(model(model=HUB, weights=weights)).container("openaisle-m")
        assert "--download-dir=/models" in container["args"]
        assert "--revision=v1" in container["args"]
        assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]
        assert "HF_TOKEN" not in [variable["name"] for variable in container["env"]]
        assert {"name": "weights", "mountPath": "/models", "readOnly": True} in container["volumeMounts"]

    def test_a_proxy_of_the_model_is_the_downloads_too(self, render):
        proxy = {"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}
        other = {"name": "HF_ENDPOINT", "value": "https://other.example.org"}
        weights = {"endpoint": "https://hf.example.org"}
        container = download(render(model(model=HUB, weights=weights, env=[proxy, other])))
        assert container["env"] == [proxy, other]

    def test_vllm_fetches_with_its_own_client_into_the_same_volume(self, render):
        weights = {"tokenSecret": {"name": "hub"}}
        objects = render(model(model=HUB, engine="vllm", gpuFamily="ampere", weights=weights))
        assert "initContainers" not in objects.pod("openaisle-m")["spec"]
        variables = {item["name"]: item.get("value") for item in objects.container("openaisle-m")["env"]}
        assert variables["HF_HUB_CACHE"] == "/models"
        assert "HF_TOKEN" in variables
        assert "HF_HUB_OFFLINE" not in variables


class TestVolumes:
    def test_a_claim_for_each_replica(self, render):
        cache = {"type": "claim", "storageClassName": "fast"}
        values = model(model="facebook/opt-13b", weights={"cache": cache})
        (claim,) = render(values).one("StatefulSet", "openaisle-m")["spec"]["volumeClaimTemplates"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["spec"]["resources"]["requests"]["storage"] == "72Gi"

    @pytest.mark.parametrize("rollout", ["swap", "surge"])
    def test_a_shared_claim_is_made_once_and_kept(self, render, rollout):
        cache = {"type": "shared", "storageClassName": "nfs", "size": "9Gi"}
        objects = render(model(model=HUB, replicas=3, rollout=rollout, weights={"cache": cache}))
        claim = objects.one("PersistentVolumeClaim", "openaisle-m-weights")
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert claim["spec"] == {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "nfs",
            "resources": {"requests": {"storage": "9Gi"}},
        }
        volume = {"name": "weights", "persistentVolumeClaim": {"claimName": "openaisle-m-weights"}}
        assert volume in objects.pod("openaisle-m")["spec"]["volumes"]

    def test_models_may_share_a_claim_of_ones_own(self, render):
        weights = {"cache": {"type": "shared", "claimName": "models"}}
        objects = render({"models": [{"name": n, "model": HUB, "weights": weights} for n in ("a", "b")]})
        assert not objects.of("PersistentVolumeClaim")
        volume = {"name": "weights", "persistentVolumeClaim": {"claimName": "models"}}
        assert volume in objects.pod("openaisle-a")["spec"]["volumes"]
        assert volume in objects.pod("openaisle-b")["spec"]["volumes"]

    def test_weights_in_a_claim_are_read_only_and_ask_no_hub(self, render):
        values = model(
            model="lab/opt-1b", weights={"from": "claim", "claimName": "weights", "path": "opt-1b"}
        )
        objects = render(values)
        container = objects.container("openaisle-m")
        assert "initContainers" not in objects.pod("openaisle-m")["spec"]
        assert "--model=/models/opt-1b" in container["args"]
        assert "--served-model-name=lab/opt-1b" in container["args"]
        assert {"name": "weights", "mountPath": "/models", "readOnly": True} in container["volumeMounts"]
        assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]
        volume = {"name": "weights", "persistentVolumeClaim": {"claimName": "weights", "readOnly": True}}
        assert volume in objects.pod("openaisle-m")["spec"]["volumes"]

    def test_weights_in_an_image_are_a_volume(self, render):
        values = model(model="lab/opt-1b", weights={"from": "image", "image": "registry.example.org/opt:1"})
        volumes = render(values).pod("openaisle-m")["spec"]["volumes"]
        assert {"name": "weights", "image": {"reference": "registry.example.org/opt:1"}} in volumes


class TestPreload:
    values = model(
        model=HUB,
        replicas=0,
        gpuFamily="turing",
        weights={"cache": {"type": "shared"}, "preload": True, "tokenSecret": {"name": "hub"}},
    )

    def test_a_job_fills_the_volume_with_the_image_that_needs_no_gpu(self, render):
        (job,) = jobs(render(self.values))
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == "openaisle/opt:0.2.0"
        assert container["command"][2:4] == ["openaisle_opt.fetch", HUB]
        assert "HF_TOKEN" in [variable["name"] for variable in container["env"]]
        assert "nvidia.com/gpu" not in container["resources"]["limits"]
        volume = {"name": "weights", "persistentVolumeClaim": {"claimName": "openaisle-m-weights"}}
        assert volume in pod["volumes"]

    def test_its_pod_is_no_replica(self, render):
        objects = render(self.values)
        (job,) = jobs(objects)
        labels = job["spec"]["template"]["metadata"]["labels"]
        for kind in ("Service", "PodDisruptionBudget"):
            selector = objects.one(kind, "openaisle-m")["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            assert not selector.items() <= labels.items()

    def test_it_opens_connections_to_the_hub_only(self, render):
        policy = render(self.values).one("NetworkPolicy", "openaisle-m.preload")["spec"]
        ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        assert ports == {53, 5353, 443}
        assert policy["ingress"] == []

    def test_another_download_is_another_job(self, render):
        (one,) = jobs(render(self.values))
        (same,) = jobs(render(self.values))
        (other,) = jobs(render(self.values, "--set", "models[0].weights.revision=v2"))
        assert one["metadata"]["name"] == same["metadata"]["name"] != other["metadata"]["name"]
        assert len(one["metadata"]["name"]) <= 63

    @pytest.mark.parametrize(
        "change",
        [
            "models[0].weights.cache.claimName=other",
            "models[0].nodeSelector.zone=a",
            "models[0].priorityClassName=high",
            "commonLabels.team=nlp",
            "image.pullSecrets={regcred}",
        ],
    )
    def test_other_pods_are_another_job_s(self, render, change):
        """Kubernetes refuses a change of a Job's pods."""
        (one,) = jobs(render(self.values))
        (other,) = jobs(render(self.values, "--set", change))
        assert one["spec"]["template"] != other["spec"]["template"]
        assert one["metadata"]["name"] != other["metadata"]["name"]

    def test_models_with_long_names_have_jobs_of_their_own(self, render):
        models = [{**self.values["models"][0], "name": f"{'a' * 38}-{number}"} for number in (1, 2)]
        assert len({job["metadata"]["name"] for job in jobs(render({"models": models}))}) == 2

    def test_a_model_may_be_called_as_the_preload_of_another(self, render):
        models = [*self.values["models"], {"name": "m-preload"}]
        names = [(item["kind"], item["metadata"]["name"]) for item in render({"models": models}).all]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": HUB, "weights": {"from": "bundled"}},
            "only openaisle/tiny-opt is in the image; for facebook/opt-125m write weights.from: hub, claim "
            "or image.",
        ),
        ({"weights": {"from": "hub"}}, "openaisle/tiny-opt isn't on the Hub; write weights.from: bundled"),
        (
            {"model": HUB, "weights": {"from": "claim"}},
            "weights.from is claim, so write the claim's name in weights.claimName.",
        ),
        (
            {"model": HUB, "weights": {"claimName": "x"}},
            "weights.claimName is set, so write weights.from: claim, or remove it.",
        ),
        (
            {"model": HUB, "weights": {"from": "image"}},
            "weights.from is image, so write the image's name in weights.image.",
        ),
        (
            {"model": HUB, "weights": {"cache": {"claimName": "models"}}},
            "weights.cache.claimName is set, so write weights.from: hub and weights.cache.type: shared; a "
            "volume that holds the weights already goes into weights.claimName.",
        ),
        (
            {"model": HUB, "weights": {"preload": True}},
            "weights.preload fills a volume that outlives the Job, so write weights.from: hub and "
            "weights.cache.type: shared.",
        ),
        (
            {
                "model": HUB,
                "replicas": 2,
                "weights": {"cache": {"type": "shared", "accessMode": "ReadWriteOnce"}},
            },
            "2 pods cannot share a volume whose access mode is ReadWriteOnce; write "
            "weights.cache.accessMode: ReadWriteMany (the StorageClass has to offer it), or "
            "weights.cache.type: claim for a volume each.",
        ),
        (
            {
                "model": HUB,
                "rollout": "surge",
                "weights": {"cache": {"type": "shared", "accessMode": "ReadWriteOnce"}},
            },
            "2 pods cannot share a volume whose access mode is ReadWriteOnce",
        ),
    ],
)
def test_weights_that_cannot_be_had(refusal, settings, message):
    assert f"models[0] (m): {message}" in refusal(model(**settings))


def test_a_cluster_without_volumes_of_images(refusal):
    values = model(model=HUB, weights={"from": "image", "image": "registry.example.org/opt:1"})
    assert "and Kubernetes v1.30.2 has no volumes of images" in refusal(values, "--kube-version=1.30.2")


def test_one_replica_may_use_a_volume_of_one_node(render):
    cache = {"type": "shared", "accessMode": "ReadWriteOnce"}
    objects = render(model(model=HUB, weights={"cache": cache}))
    assert objects.one("PersistentVolumeClaim", "openaisle-m-weights")["spec"]["accessModes"] == [
        "ReadWriteOnce"
    ]
