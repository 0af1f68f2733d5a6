"""What the entries of `models` become."""

import pytest

from tests.chart.conftest import model


def test_each_model_has_a_statefulset_and_a_headless_service(render):
    objects = render({"models": [{"name": "one"}, {"name": "two", "servedModelName": "second"}]})
    assert set(objects.of("StatefulSet")) == {"openaisle-one", "openaisle-two"}
    for name, served in (("openaisle-one", "openaisle/tiny-opt"), ("openaisle-two", "second")):
        workload = objects.one("StatefulSet", name)
        assert workload["spec"]["podManagementPolicy"] == "Parallel"
        assert workload["spec"]["serviceName"] == name
        assert objects.one("Service", name)["metadata"]["annotations"]["openaisle.io/model"] == served
        assert f"--served-model-name={served}" in objects.container(name)["args"]


def test_an_entry_overrides_the_defaults_key_by_key(render):
    objects = render(
        {
            "modelDefaults": {"replicas": 3, "resources": {"requests": {"cpu": "3"}}},
            "models": [
                {"name": "one"},
                {"name": "two", "replicas": 2, "resources": {"limits": {"memory": "4Gi"}}},
            ],
        }
    )
    assert objects.one("StatefulSet", "openaisle-one")["spec"]["replicas"] == 3
    assert objects.one("StatefulSet", "openaisle-two")["spec"]["replicas"] == 2
    resources = objects.container("openaisle-two")["resources"]
    assert resources["requests"] == {"cpu": "3", "memory": "1536Mi"}
    assert resources["limits"]["memory"] == "4Gi"


def test_a_change_of_one_model_touches_its_objects_only(render):
    before = render({"models": [{"name": "one"}, {"name": "two"}], "auth": {"keys": {"a": "sk-12345678"}}})
    after = render(
        {
            "models": [
                {"name": "one"},
                {"name": "two", "replicas": 4, "contextLength": 512, "extraArgs": ["--x"]},
            ],
            "auth": {"keys": {"a": "sk-12345678"}},
        }
    )
    changed = [
        item["metadata"]["name"] for item, other in zip(before.all, after.all, strict=True) if item != other
    ]
    assert changed == ["openaisle-two"]


def test_settings_become_flags_of_the_engine(render):
    container = render(
        model(
            model="facebook/opt-125m", contextLength=1024, dtype="float32", extraArgs=["--max-num-seqs", "8"]
        )
    ).container("openaisle-m")
    assert container["args"] == [
        "--port=8000",
        "--model=facebook/opt-125m",
        "--download-dir=/models",
        "--served-model-name=facebook/opt-125m",
        "--dtype=float32",
        "--device=cpu",
        "--threads=2",
        "--max-model-len=1024",
        "--grace-period-s=69",
        "--max-num-seqs",
        "8",
    ]


def test_the_grace_period_covers_the_wait_and_the_drain(render):
    objects = render(model(gracePeriodSeconds=300, preStopSeconds=15))
    spec = objects.pod("openaisle-m")["spec"]
    assert spec["terminationGracePeriodSeconds"] > 300 + 15
    container = objects.container("openaisle-m")
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 15
    assert "--grace-period-s=300" in container["args"]


def test_running_completions_get_as_long_as_the_longest_takes(render):
    def grace(**settings):
        objects = render(model(**settings))
        args = " ".join(objects.container("openaisle-m")["args"])
        seconds = int(args.split("--grace-period-s=")[1].split()[0])
        assert objects.pod("openaisle-m")["spec"]["terminationGracePeriodSeconds"] == seconds + 5 + 10
        for part in ("openaisle-adapter", "openaisle-demo"):
            wait_s = 60
            assert objects.pod(part)["spec"]["terminationGracePeriodSeconds"] == wait_s + seconds + 15 + 10
        assert f"--wait-s={wait_s}" in objects.container("openaisle-adapter")["args"]
        assert f"--grace-period-s={wait_s + seconds}" in objects.container("openaisle-adapter")["args"]
        return seconds

    assert grace() == 60
    large = grace(model="facebook/opt-13b", gpuFamily="ampere")
    assert 60 < large < grace(model="facebook/opt-13b") <= 3600
    assert grace(model="facebook/opt-13b", gpuFamily="ampere", contextLength=512) < large
    assert grace(gracePeriodSeconds=777) == 777


@pytest.mark.parametrize(("cpu", "threads"), [(None, 1), ("3", 3), (4, 4), ("1500m", 2), ("100m", 1)])
def test_a_model_computes_with_the_processors_that_it_requests(render, cpu, threads):
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    args = render(model(resources=resources)).container("openaisle-m")["args"]
    assert f"--threads={threads}" in args


@pytest.mark.parametrize("part", ["openaisle-m", "openaisle-adapter", "openaisle-demo"])
def test_replicas_spread_over_nodes(render, part):
    pod = render(model(replicas=2) | {"adapter": {"replicas": 2}, "demo": {"replicas": 2}}).pod(part)
    (spread,) = pod["spec"]["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert "topologySpreadConstraints" not in render(model()).pod(part)["spec"]


class TestRollout:
    def test_a_swap_is_a_statefulset_and_a_surge_a_deployment_with_the_same_pods(self, render):
        swap = render(model())
        surge = render(model(rollout="surge"))
        assert "openaisle-m" not in swap.of("Deployment")
        assert "openaisle-m" not in surge.of("StatefulSet")
        assert surge.one("Deployment", "openaisle-m")["spec"]["strategy"] == {
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}
        }
        assert swap.pod("openaisle-m") == surge.pod("openaisle-m")
        selector = surge.one("Deployment", "openaisle-m")["spec"]["selector"]
        assert selector == swap.one("StatefulSet", "openaisle-m")["spec"]["selector"]

    def test_a_volume_for_each_replica_cannot_surge(self, refusal):
        message = refusal(
            model(model="facebook/opt-125m", rollout="surge", weights={"cache": {"type": "claim"}})
        )
        assert "models[0] (m): rollout is surge, and weights.cache.type is claim" in message
        assert "write rollout: swap" in message


@pytest.mark.parametrize(
    "settings", [{}, {"model": "facebook/opt-125m", "engine": "vllm", "gpuFamily": "nvidia"}]
)
def test_a_chat_template_is_a_file_of_the_program(render, settings):
    text = "{% for message in messages %}\n  '{{ message.content }}': \"x\"\n{% endfor %}\n"
    objects = render(model(chatTemplate=text, **settings))
    assert objects.one("ConfigMap", "openaisle-m-chat-template")["data"] == {"template.jinja": text}
    container = objects.container("openaisle-m")
    (mount,) = [item for item in container["volumeMounts"] if item["name"] == "chat-template"]
    assert f"--chat-template={mount['mountPath']}/template.jinja" in container["args"]
    volume = {"name": "chat-template", "configMap": {"name": "openaisle-m-chat-template"}}
    assert volume in objects.pod("openaisle-m")["spec"]["volumes"]
    other = render(model(chatTemplate=text + " ", **settings))
    assert other.pod("openaisle-m")["metadata"] != objects.pod("openaisle-m")["metadata"]
    assert "openaisle-m-chat-template" not in render(model(**settings)).of("ConfigMap")


@pytest.mark.parametrize("size", ["125m", "13b", "66b"])
def test_a_large_model_gets_the_time_to_be_fetched(render, size):
    probe = render(model(model=f"facebook/opt-{size}")).container("openaisle-m")["startupProbe"]
    gigabytes = {"125m": 0.25, "13b": 26, "66b": 131}[size]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 240 + gigabytes * 1000 / 20


def test_a_model_that_outgrows_a_gpu_is_divided_between_those_of_a_pod(render):
    values = model(model="facebook/opt-66b", gpuFamily="hopper", gpus=2)
    container = render(values).container("openaisle-m")
    assert "--tensor-parallel-size=2" in container["args"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in container["volumeMounts"]


def test_a_model_on_one_gpu_is_not_divided(render):
    args = render(model(model="facebook/opt-1.3b", gpuFamily="hopper")).container("openaisle-m")["args"]
    assert not any("tensor-parallel" in arg for arg in args)


class TestVllm:
    values = model(model="facebook/opt-30b", engine="vllm", gpuFamily="ampere", gpus=2)

    def test_spreads_over_the_gpus_of_a_pod(self, render):
        objects = render(self.values)
        container = objects.container("openaisle-m")
        assert container["command"] == ["vllm", "serve", "facebook/opt-30b"]
        assert "--tensor-parallel-size=2" in container["args"]
        assert container["image"].startswith("docker.io/vllm/vllm-openai:v")
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
        shared_memory = {"name": "shared-memory", "emptyDir": {"medium": "Memory"}}
        assert shared_memory in objects.pod("openaisle-m")["spec"]["volumes"]

    def test_is_reached_under_the_same_name_and_port(self, render):
        objects = render(self.values)
        assert "--served-model-name=facebook/opt-30b" in objects.container("openaisle-m")["args"]
        assert {"name": "http", "containerPort": 8000} in objects.container("openaisle-m")["ports"]
        assert objects.container("openaisle-m")["readinessProbe"]["httpGet"]["path"] == "/health"

    def test_own_variables_win_without_doubles(self, render):
        values = model(**self.values["models"][0] | {"env": [{"name": "HOME", "value": "/models"}]})
        names = [entry["name"] for entry in render(values).container("openaisle-m")["env"]]
        assert len(names) == len(set(names))
