"""What a person reads whose values cannot work. Every message names the value and says what to write."""

import pytest
import yaml

from tests.chart.conftest import model


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"modles": []}, "modles: there is no such key; write models."),
        (
            {"gpu": {"family": "t4"}},
            "gpu: there is no such key; write modelDefaults.gpuFamily or modelDefaults.gpus.",
        ),
        ({"replicaCount": 2}, "replicaCount: there is no such key; write modelDefaults.replicas"),
        ({"networkpolicy": {"enabled": False}}, "networkpolicy: there is no such key; write networkPolicy."),
        *(
            ({section: {"enable": True}}, f"{section}.enable: there is no such key; write {section}.enabled.")
            for section in ("demo", "doctor", "httpRoute", "ingress", "networkPolicy", "operator")
        ),
        ({"modelDefaults": {"maxModelLen": 1}}, "there is no such key; write modelDefaults.contextLength."),
        (model(maxModelLen=1), "models[0] (m): there is no key maxModelLen; write contextLength."),
        (model(gpuCount=1), "models[0] (m): there is no key gpuCount; write gpus."),
    ],
)
def test_a_key_of_another_chart_is_answered_with_ours(refusal, values, message):
    assert message in refusal(values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"unheard": 1}, "'unheard' not allowed"),
        (model(unheard=1), "'unheard' not allowed"),
        (
            model(weights={"cache": {"unheard": 1}}),
            "at '/models/0/weights/cache': additional properties 'unheard'",
        ),
        ({"adapter": {"replicas": "two"}}, "at '/adapter/replicas': got string, want integer"),
        ({"demo": {"enabled": "yes"}}, "at '/demo/enabled': got string, want boolean"),
        (model(dtype="int3"), "value must be one of '', 'auto', 'float32', 'float16', 'bfloat16'"),
        (model(engine="tgi"), "value must be one of 'opt', 'vllm'"),
        ({"gpuFamilies": {"x": {"resource": "nvidia.com/gpu"}}}, "'resource' not allowed"),
        (model(gpus=-1), "at '/models/0/gpus': minimum: got -1, want 0"),
        (model(gpus="2"), "at '/models/0/gpus': got string, want integer"),
        (model(weights=None), "at '/models/0/weights': got null, want object"),
        ({"models": {"m": {}}}, "at '/models': got object, want array"),
        ({"models": ["opt-125m"]}, "at '/models/0': got string, want object"),
        ({"auth": {"keys": {"alice": "short"}}}, "at '/auth/keys/alice': minLength: got 5, want 8"),
        (
            {"auth": {"limits": {"default": {"requestsPerMin": 1}}}},
            "at '/auth/limits/default': additional properties 'requestsPerMin' not allowed",
        ),
        # Helm 3 drops what Kubernetes doesn't know, and a peer without its selector is every pod.
        (
            {"networkPolicy": {"clients": [{"podSelector": {"matchLabel": {"app": "x"}}}]}},
            "at '/networkPolicy/clients/0/podSelector': additional properties 'matchLabel' not allowed",
        ),
        ({"networkPolicy": {"metrics": [{}]}}, "at '/networkPolicy/metrics/0': minProperties: got 0, want 1"),
        (model(env=[{"name": "A", "value": 5}]), "at '/models/0/env/0/value': got number, want string"),
        (
            model(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a"}}}]),
            "at '/models/0/env/0/valueFrom/secretKeyRef': missing property 'key'",
        ),
        (
            {"adapter": {"tolerations": [{"key": "sku", "operator": "exists"}]}},
            "at '/adapter/tolerations/0/operator': value must be one of 'Exists', 'Equal'",
        ),
        (
            model(tolerations=[{"key": "sku", "effect": "noSchedule"}]),
            "at '/models/0/tolerations/0/effect': value must be one of '', 'NoSchedule', 'PreferNoSchedule'",
        ),
        (
            {"httpRoute": {"enabled": True, "parentRefs": [{"name": "g", "nameSpace": "x"}]}},
            "at '/httpRoute/parentRefs/0': additional properties 'nameSpace' not allowed",
        ),
        ({"ingress": {"preset": "haproxy"}}, "value must be one of 'ingress-nginx', 'f5', 'traefik', 'none'"),
    ],
)
def test_an_unknown_key_or_a_wrong_type_is_named_with_its_place(refusal, values, named):
    assert named in refusal(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"models": [{"model": "facebook/opt-125m"}]},
            "models[0]: a model needs a name, for example `name: opt-125m`.",
        ),
        (
            {"models": [{"name": "one"}, {"name": "one"}]},
            "models[1] (one): another model has this name; names of models must differ",
        ),
        (
            {"models": [{"name": "adapter"}]},
            "models[0] (adapter): the name is that of a part of OpenAISLE; choose another.",
        ),
        (
            {"models": [{"name": "a" * 50}]},
            f"its StatefulSet would be called openaisle-{'a' * 50}, 60 characters, and Kubernetes allows 52; "
            "shorten the model's name or set fullnameOverride.",
        ),
    ],
)
def test_names_that_cannot_be(refusal, values, message):
    assert message in refusal(values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpuFamily": "tesla"}, "gpuFamily tesla doesn't exist; choose cpu or one of ada, amd, amd-mi100,"),
        ({"gpuFamily": "t4"}, "gpuFamily t4 doesn't exist; the T4 is in the family turing."),
        ({"gpuFamily": "MI300X"}, "gpuFamily MI300X doesn't exist; the MI300X is in the family amd-mi300."),
        ({"gpuFamily": "a100"}, "gpuFamily a100 doesn't exist; the A100 is in the family ampere."),
        ({"gpuFamily": "rtx4090"}, "gpuFamily rtx4090 doesn't exist; the RTX4090 is in the family ada."),
        ({"gpuFamily": "Turing"}, "gpuFamily Turing doesn't exist; write turing."),
        ({"gpuFamily": ["turing", "volt"]}, "gpuFamily volt doesn't exist; choose cpu or one of ada, amd,"),
        (
            {"gpuFamily": ["turing", "cpu"]},
            "gpuFamily lists turing and cpu, whose GPUs are requested by different names "
            "(nvidia.com/gpu and none); write two models with the same servedModelName.",
        ),
        (
            {"gpuFamily": "cpu", "gpus": 2},
            "models[0] (m): gpus is 2 on gpuFamily cpu, which has no GPUs; choose a GPU family",
        ),
        (
            {"gpuFamily": ["ampere", "amd"]},
            "gpuFamily lists ampere and amd, whose GPUs are requested by different names "
            "(nvidia.com/gpu and amd.com/gpu); write two models with the same servedModelName.",
        ),
        (
            {"gpuFamily": ["ampere", "kepler"]},
            "no one image serves the families ampere and kepler; write a model for each",
        ),
        (
            {"gpuFamily": "turing", "dtype": "bfloat16"},
            "the family turing has no bfloat16; write dtype: float16 or leave dtype empty.",
        ),
        (
            {"gpuFamily": "mig-1g.10gb", "gpus": 2},
            "gpus is 2 on gpuFamily mig-1g.10gb, and a model isn't divided between slices; choose a family",
        ),
        (
            {"gpuFamily": "turing", "gpus": 8},
            "models[0] (m): gpus is 8, which doesn't divide the 12 attention heads of facebook/opt-125m "
            "evenly; numbers that do are 2, 3, 4, 6, 12.",
        ),
        ({"engine": "vllm"}, "engine vllm needs a GPU family; on cpu write engine: opt."),
        (
            {"engine": "vllm", "gpuFamily": "kepler"},
            "vLLM's image needs an NVIDIA GPU of compute capability 7.0, which kepler isn't; write",
        ),
    ],
)
def test_gpus_that_cannot_be(refusal, settings, message):
    assert message in refusal(model(**{"model": "facebook/opt-125m"} | settings))


def test_a_family_of_gpus_without_an_image_for_them(refusal, render):
    values = model(gpuFamily="ours") | {"gpuFamilies": {"ours": {"resourceName": "nvidia.com/gpu"}}}
    assert (
        "models[0] (m): the family ours names no image for its GPUs, and the one for cpu cannot use them; "
        "write gpuFamilies.ours.imageVariants, for example [cu126], or the model's own image."
    ) in refusal(values)
    values["models"][0]["image"] = "registry.example.org/opt:ours"
    assert render(values).container("openaisle-m")["image"] == "registry.example.org/opt:ours"


@pytest.mark.parametrize("size", ["125m", "350m", "1.3b", "2.7b", "6.7b", "13b", "30b", "66b"])
def test_the_numbers_of_gpus_that_are_named_are_taken(refusal, render, size):
    settings = {"model": f"facebook/opt-{size}", "gpuFamily": "nvidia"}
    numbers = refusal(model(**settings, gpus=17)).split("numbers that do are ")[1].split(".")[0]
    for gpus in numbers.split(", "):
        assert render(model(**settings, gpus=int(gpus))).of("StatefulSet")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "facebook/opt-13b", "gpuFamily": "kepler"},
            "facebook/opt-13b of float32 weights 47.9 GiB, and the cache of one sequence 3.1 GiB; "
            "with 1 GiB for the runtime that is 52.0 GiB, and the largest GPU of the family kepler "
            "has 11.0 GiB",
        ),
        (
            {"model": "facebook/opt-66b", "gpuFamily": "ampere"},
            "(gpus: 1); it takes 2 of them: write gpus: 2, or choose a family with more memory.",
        ),
        (
            {"model": "facebook/opt-66b", "gpuFamily": "turing", "engine": "vllm", "gpus": 2},
            "(gpus: 2); it takes 4 of them: write gpus: 4",
        ),
        (
            {"model": "facebook/opt-66b", "gpuFamily": "kepler"},
            "it takes 32 of them, so choose a family with more memory.",
        ),
        (
            {"model": "lab/private", "parameters": "66b", "gpuFamily": "volta"},
            "lab/private of float16 weights 122.4 GiB",
        ),
        (
            {"model": "facebook/opt-1.3b", "resources": {"limits": {"memory": "1Gi"}}},
            "with 0.5 GiB for the programs that is 3.3 GiB, and resources.limits.memory is 1Gi; "
            "write at least 4Gi.",
        ),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_the_numbers(refusal, settings, message):
    assert message in refusal(model(**settings))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"ingress": {"preset": "f5"}},
            "ingress.host: F5 NGINX serves no Ingress without a host name; write one.",
        ),
        ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs: name the Gateway that serves the route"),
        (
            {"ingress": {"tls": {"clusterIssuer": "letsencrypt"}}},
            "ingress.host: cert-manager needs a host name for the certificate; write one.",
        ),
    ],
)
def test_access_that_cannot_be(refusal, values, message):
    assert message in refusal(values)


def test_all_mistakes_are_told_at_once(refusal):
    message = refusal({"gpu": 1, "models": [{"name": "demo"}, {"name": "m", "gpuFamily": "none"}]})
    assert message.count("\n- ") == 3


PASTED = {
    "a text": ({"image": {"version": "1.2"}}, 'write image.tag.\n\n    image:\n      tag: "1.2"\n'),
    "a list": (
        {"imagePullSecrets": ["regcred"]},
        "write image.pullSecrets.\n\n    image:\n      pullSecrets:\n      - regcred\n",
    ),
    "a number in an entry": (
        model(maxModelLen=512),
        "models[0] (m): there is no key maxModelLen; write contextLength.\n\n    contextLength: 512\n",
    ),
    "below weights": (
        model(weights={"pvc": "ours"}),
        "there is no key weights.pvc; write weights.claimName.\n\n    weights:\n      claimName: ours\n",
    ),
    "for all models": (
        {"modelDefaults": {"weights": {"mirror": "https://hf.example.org"}}},
        "modelDefaults.weights.mirror: there is no such key; write modelDefaults.weights.endpoint.\n\n"
        "    modelDefaults:\n      weights:\n        endpoint: https://hf.example.org\n",
    ),
}


@pytest.mark.parametrize("case", PASTED)
def test_what_to_write_can_be_pasted(refusal, case):
    values, text = PASTED[case]
    assert text in refusal(values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ingress": {"hosts": ["a"]}}, "ingress.hosts: there is no such key; write ingress.host.\n"),
        ({"hfToken": "hf_x"}, "hfToken: there is no such key; write modelDefaults.weights.tokenSecret.\n"),
        ({"replicaCount": 2}, "write modelDefaults.replicas or adapter.replicas.\n"),
    ],
)
def test_what_would_not_fit_there_is_not_pasted(refusal, values, sentence):
    message = refusal(values)
    assert sentence in message
    assert "\n    " not in message


def test_every_hint_leads_to_a_key_that_is_there(chart):
    """The schema lets hints through, as hack/chart-docs --check tells; one for a real key would forbid it."""
    values = yaml.safe_load((chart / "values.yaml").read_text())
    sections = {
        "values": values,
        "model": values["modelDefaults"],
        "weights": values["modelDefaults"]["weights"],
    }
    for name, hints in yaml.safe_load((chart / "files/hints.yaml").read_text()).items():
        section = sections.get(name) or values[name]
        assert not hints.keys() & section.keys(), name
        for right in hints.values():
            for path in [right] if isinstance(right, str) else right:
                node = section
                for key in path.split("."):
                    node = node[key]
