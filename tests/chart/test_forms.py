"""Values that cannot be as they are written. The message names the key and says what to write."""

import pytest

from tests.chart.conftest import Refused, model

HUB = "facebook/opt-125m"


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("Opt", "opt"),
        ("opt-6.7b", "opt-6-7b"),
        ("facebook/opt-125m", "facebook-opt-125m"),
        ("a b", "a-b"),
        ("a-", "a"),
        ("_", "opt-125m"),
    ],
)
def test_a_name_that_is_no_part_of_a_host_name_is_handed_back_as_one(refusal, name, better):
    assert (
        f"models[0] ({name}): the name is part of a host name, so it has small letters, digits and dashes "
        f"only; write name: {better} (clients see model, or servedModelName)."
    ) in refusal({"models": [{"name": name}]})


def test_two_names_of_which_a_host_name_would_make_one(refusal):
    message = refusal({"models": [{"name": "a.b"}, {"name": "a-b"}]})
    assert "models[0] (a.b): the name is part of a host name" in message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"fullnameOverride": "Aisle"},
            "fullnameOverride: objects cannot be called Aisle; write small letters,",
        ),
        ({"nameOverride": "a/b"}, "beginning with a letter, for example a-b."),
        (
            {"commonLabels": {"app.kubernetes.io/part-of": "platform"}},
            "commonLabels: the chart sets app.kubernetes.io/part-of itself; remove it, or choose another",
        ),
        (
            {"gpuFamilies": {"our GPU": {}}},
            "gpuFamilies: a family cannot be called our GPU, since its pods have it as a label; write at "
            "most 63 letters, digits, dashes, dots and underscores, for example our-gpu.",
        ),
        (
            {"gpuFamilies": {"ours": {"resourceName": "gpu"}}},
            "gpuFamilies.ours.resourceName: no device plugin offers gpu; write a name such as nvidia.com/gpu",
        ),
        (
            {"image": {"registry": "https://registry.example.org/"}},
            "image.registry: images' names have no scheme; write registry.example.org.",
        ),
        (
            {"ingress": {"host": "https://LLM.example.org:8443/x"}},
            "ingress.host: https://LLM.example.org:8443/x is not a host name; write llm.example.org.",
        ),
        ({"ingress": {"host": "llm.example.org:80"}}, "is not a host name; write llm.example.org."),
        (
            {"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}], "hostnames": ["a.b", "a.b/c"]}},
            "httpRoute.hostnames[1]: a.b/c is not a host name; write a.b.",
        ),
        (
            {"ingress": {"pathPrefix": "lab/"}},
            "ingress.pathPrefix: lab/ is not the beginning of a path; write /lab.",
        ),
        (
            {"auth": {"keys": {"al ice": "sk-0123456789"}}},
            "auth.keys: a key cannot be called al ice; write letters, digits, dashes, dots and underscores, "
            "for example al-ice.",
        ),
        ({"auth": {"keys": {"alice": "sk 0123456789"}}}, "auth.keys.alice: the key has a space in it"),
        (
            {"auth": {"keys": {"alice": "sk-0123456789", "bob": "sk-0123456789"}}},
            "auth.keys.bob: it is the key of alice, too; give each a key of its own.",
        ),
        (
            {"commonLabels": {"team one": "x"}},
            "commonLabels: a label cannot be called team one; write at most 63",
        ),
        ({"commonLabels": {"team": "a b"}}, 'commonLabels.team: a label cannot hold "a b"; write at most 63'),
        ({"demo": {"nodeSelector": {"a": "b c"}}}, 'demo.nodeSelector.a: a label cannot hold "b c"'),
        (
            {"adapter": {"resources": {"requests": {"memory": "1Gi"}}}},
            "adapter.resources: requests.memory is 1Gi, more than limits.memory, which is 512Mi; "
            "write limits.memory: 1Gi.",
        ),
        (
            {"adapter": {"resources": {"requests": {"memory": 1073741824}}}},
            "adapter.resources: requests.memory is 1073741824, more than limits.memory, which is 512Mi;",
        ),
        (
            {"ingress": {"className": "Nginx"}},
            "ingress.className: no object of Kubernetes is called Nginx; its name has small letters, digits,",
        ),
        (
            {"demo": {"priorityClassName": "High"}},
            "demo.priorityClassName: no object of Kubernetes is called",
        ),
        (
            {"image": {"pullSecrets": ["ours", "Reg Cred"]}},
            "image.pullSecrets[1]: no object of Kubernetes is",
        ),
        (
            {"auth": {"existingSecret": "Our_Keys"}},
            "auth.existingSecret: no object of Kubernetes is called Our_",
        ),
        (
            {"gpuFamilies": {"turing": {"runtimeClassName": "NVIDIA"}}},
            "gpuFamilies.turing.runtimeClassName: no object of Kubernetes is called NVIDIA;",
        ),
        (
            {"adapter": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
            "adapter.tolerations[0]: operator Exists takes no value; remove value, or write operator: Equal.",
        ),
        (
            {"gpuFamilies": {"turing": {"tolerations": [{"effect": "NoSchedule"}]}}},
            "gpuFamilies.turing.tolerations[0]: write the key of the taint, or operator: Exists for every",
        ),
        (
            {"networkPolicy": {"clients": [{"ipBlock": {"cidr": "10.0.0.7"}}]}},
            "networkPolicy.clients[0].ipBlock.cidr: 10.0.0.7 is not a range of addresses; write 10.0.0.7/32.",
        ),
        (
            {"adapter": {"resources": {"limits": {"gpu": 1}}}},
            "adapter.resources.limits.gpu: there is no such resource; write cpu, memory, ephemeral-storage,",
        ),
        (
            {"demo": {"resources": {"limits": {"cpu": "half"}}}},
            "demo.resources.limits.cpu: half is not an amount; write one such as 2 or 500m.",
        ),
    ],
)
def test_a_value_of_the_wrong_form(refusal, values, message):
    assert message in refusal(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "https://huggingface.co/facebook/opt-125m"},
            "is not an id of the Hub; write facebook/opt-125m.",
        ),
        (
            {"model": "my model"},
            "model my model is not an id of the Hub; write one such as facebook/opt-125m.",
        ),
        (
            {"model": "/models/opt"},
            "is not an id of the Hub; write weights.from: claim for a folder of a volume",
        ),
        (
            {"weights": {"endpoint": "hf.example.org"}},
            "weights.endpoint hf.example.org is not an address; write https",
        ),
        (
            {"parameters": "huge"},
            "parameters huge is not a number of parameters; write it in millions or billions",
        ),
        ({"weights": {"cache": {"size": "30GB"}}}, "weights.cache.size 30GB is not a size; write 30Gi."),
        (
            {"contextLength": 4096},
            "contextLength is 4096, and facebook/opt-125m reads 2048 tokens at most; write",
        ),
        ({"nodeSelector": {"zone": "a b"}}, 'nodeSelector.zone: a label cannot hold "a b"'),
        ({"priorityClassName": "High"}, "priorityClassName: no object of Kubernetes is called High;"),
        (
            {"weights": {"cache": {"type": "claim", "storageClassName": "Fast SSD"}}},
            "models[0] (m): weights.cache.storageClassName: no object of Kubernetes is called Fast SSD;",
        ),
        (
            {"tolerations": [{"operator": "Equal"}]},
            "models[0] (m): tolerations[0]: write the key of the taint",
        ),
        (
            {"resources": {"limits": {"memory": "lots"}}},
            "resources.limits.memory: lots is not an amount; write one such as 4Gi.",
        ),
        (
            {"resources": {"requests": {"cpu": "8"}, "limits": {"cpu": "500m"}}},
            "resources: requests.cpu is 8, more than limits.cpu, which is 500m; write limits.cpu: 8.",
        ),
    ],
)
def test_a_model_of_the_wrong_form(refusal, settings, message):
    told = refusal(model(**{"model": HUB} | settings))
    assert "- models[0] (m): " in told
    assert message in told
    assert told.count("\n- ") == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"image": "x:1"}}, "weights.image is set, so write weights.from: image, or remove it."),
        (
            {"weights": {"from": "claim", "claimName": "x", "endpoint": "https://hf.example.org"}},
            "weights.endpoint is for what is fetched from the Hub, and weights.from is claim; remove it",
        ),
        (
            {"model": "openaisle/tiny-opt", "weights": {"revision": "v1"}},
            "weights.revision is for what is fetched from the Hub, and weights.from is bundled; remove it",
        ),
        (
            {"weights": {"from": "image", "image": "x:1", "tokenSecret": {"name": "hub"}}},
            "weights.tokenSecret is for what is fetched from the Hub, and weights.from is image; remove it",
        ),
        (
            {"weights": {"path": "sub"}},
            "weights.path is a folder of a claim or an image, and weights.from is hub; remove it",
        ),
        (
            {"weights": {"from": "claim", "claimName": "x", "path": "../secret"}},
            "weights.path is ../secret, and has to lie within the claim or image",
        ),
        (
            {"weights": {"cache": {"storageClassName": "fast"}}},
            "weights.cache.storageClassName is for a volume that is kept, so write weights.cache.type: claim",
        ),
        (
            {"weights": {"cache": {"type": "claim", "accessMode": "ReadWriteMany"}}},
            "weights.cache.accessMode is for a volume that replicas share, so write weights.cache.type",
        ),
    ],
)
def test_weights_that_contradict_each_other(refusal, settings, message):
    assert f"models[0] (m): {message}" in refusal(model(**{"model": HUB} | settings))


def test_defaults_need_not_fit_every_model(render):
    defaults = {"weights": {"endpoint": "https://hf.example.org", "tokenSecret": {"name": "hub"}}}
    models = [{"name": "bundled"}, {"name": "fetched", "model": HUB}]
    objects = render({"modelDefaults": defaults, "models": models})
    assert set(objects.of("StatefulSet")) == {"openaisle-bundled", "openaisle-fetched"}


def test_a_release_with_the_longest_name(render, template):
    name = "a" * 53
    with pytest.raises(Refused) as refused:
        template({"models": []}, release=name)
    assert (
        f"fullnameOverride: the Service of the gateway would be called {name}-openaisle-adapter, 71 "
        "characters, and Kubernetes allows 63; choose a shorter name for the release, or write "
        "fullnameOverride: openaisle."
    ) in str(refused.value)
    objects = render({"fullnameOverride": "openaisle"}, release=name)
    assert "openaisle-tiny-opt" in objects.of("StatefulSet")


@pytest.mark.parametrize("name", ["2048", "openaisle.v2"])
def test_a_release_of_which_no_service_can_be_called(render, template, name):
    """Helm takes it, and Kubernetes refuses the Services only when other objects are made already."""
    with pytest.raises(Refused) as refused:
        template(release=name)
    assert (
        f"fullnameOverride: the release is called {name}, and the names of Services have small letters, "
        "digits and dashes only, beginning with a letter; choose another name for the release, or write "
        "fullnameOverride: openaisle."
    ) in str(refused.value)
    assert "openaisle-tiny-opt" in render({"fullnameOverride": "openaisle"}, release=name).of("StatefulSet")


@pytest.mark.parametrize("name", ["2048", "1e3", "true", "null"])
def test_a_name_that_yaml_takes_for_something_else_is_a_text_in_all_places(render, name):
    values = {
        "fullnameOverride": "openaisle",
        "operator": {"enabled": True},
        "doctor": {"job": True, "clusterAccess": True},
        "gpuFamilies": {name: {"resourceName": "nvidia.com/gpu", "imageVariants": ["cu126"]}},
        "models": [
            {
                "name": name,
                "model": HUB,
                "gpuFamily": name,
                "chatTemplate": "x",
                "weights": {"preload": True, "cache": {"type": "shared"}},
            },
            {"name": "surge", "rollout": "surge"},
        ],
    }

    def texts(node, path=""):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("labels", "annotations", "matchLabels", "data"):
                    assert all(type(item) is str for item in value.values()), (path, value)
                elif key in ("name", "namespace", "value"):
                    assert isinstance(value, str), (path, node)
                texts(value, f"{path}.{key}")
        elif isinstance(node, list):
            for item in node:
                texts(item, path)

    rendered = render(values, "--namespace=1234", release=name).all
    assert len(rendered) > 30
    for item in rendered:
        if item["kind"] != "CustomResourceDefinition":
            texts(item, item["kind"])


@pytest.mark.parametrize(
    ("given", "resources"),
    [
        (
            {"requests": {"cpu": "8"}},
            {"requests": {"cpu": "8", "memory": "1536Mi"}, "limits": {"cpu": "8", "memory": "3Gi"}},
        ),
        (
            {"limits": {"cpu": "500m", "memory": "1Gi"}},
            {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "1Gi"}},
        ),
        (
            {"requests": {"cpu": 2}},
            {"requests": {"cpu": 2, "memory": "1536Mi"}, "limits": {"cpu": "4", "memory": "3Gi"}},
        ),
        (
            {"requests": {"memory": 2147483648}, "limits": {"memory": 4294967296}},
            {"requests": {"cpu": "1", "memory": 2147483648}, "limits": {"cpu": "4", "memory": 4294967296}},
        ),
        (
            {"requests": {"memory": 4294967296}},
            {"requests": {"cpu": "1", "memory": 4294967296}, "limits": {"cpu": "4", "memory": 4294967296}},
        ),
    ],
)
def test_a_request_takes_its_limit_along_and_a_limit_its_request(render, given, resources):
    assert render(model(resources=given)).container("openaisle-m")["resources"] == resources


@pytest.mark.parametrize("gpus", [1, 8, 16, 64])
def test_what_is_computed_for_many_gpus_is_within_its_limits(render, gpus):
    """A processor for each, since each has a process."""
    values = model(model="lab/wide", gpuFamily="hopper", gpus=gpus)
    resources = render(values).container("openaisle-m")["resources"]
    assert int(resources["requests"]["cpu"]) == max(2, gpus)
    assert int(resources["limits"]["cpu"]) == max(8, gpus)


def test_a_model_called_with_characters_of_yaml(render):
    container = render(model(servedModelName="ours: large #1")).container("openaisle-m")
    assert "--served-model-name=ours: large #1" in container["args"]


def test_an_ingress_of_the_cluster_s_default_class(render):
    assert (
        "ingressClassName" not in render({"ingress": {"className": ""}}).one("Ingress", "openaisle")["spec"]
    )


def test_a_pod_that_waits_for_no_time_before_its_end_does_not_sleep(render):
    """Kubernetes takes a sleep of no time from 1.33 on."""
    rest = {"preStopSeconds": 0}
    objects = render(model(**rest) | {"adapter": rest, "demo": rest})
    for name in ("openaisle-m", "openaisle-adapter", "openaisle-demo"):
        assert "lifecycle" not in objects.container(name)
