"""hack/kind and hack/minikube, with programs in place of docker, kind and so on that write down calls."""

import os
import subprocess

import pytest

TOOL = """#!/bin/bash
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in
"docker info --format {{.DefaultRuntime}}") echo "${DOCKER_RUNTIME:-runc}" ;;
"docker info" | "podman info") [ "$(basename "$0")" = "${ENGINE:-docker}" ] ;;
"minikube --profile "*" ip") echo 192.168.49.2 ;;
"kind create cluster "*) cat > "$CALLS.config" ;;
esac
"""
TOOLS = ["kind", "minikube", "kubectl", "helm", "docker", "podman", "nvidia-smi"]


@pytest.fixture
def run(root, tmp_path):
    """run(script, *arguments, missing=.., **environment) -> result, with .calls, a list of command lines."""

    def call(script, *arguments, missing=(), **environment):
        tools, calls = tmp_path / "tools", tmp_path / "calls"
        tools.mkdir()
        calls.touch()
        for tool in TOOLS:
            if tool not in missing:
                (tools / tool).write_text(TOOL)
                (tools / tool).chmod(0o755)
        for tool in ("bash", "sed", "basename", "dirname", "grep", "cat", "mktemp", "rm"):
            (tools / tool).symlink_to(f"/usr/bin/{tool}")
        result = subprocess.run(
            [root / "hack" / script, *arguments],
            env={"PATH": str(tools), "CALLS": str(calls), "HOME": os.environ["HOME"]} | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        result.calls = calls.read_text().splitlines()
        return result

    return call


def starting(calls, prefix):
    return [line for line in calls if line.startswith(prefix)]


@pytest.mark.parametrize("script", ["kind", "minikube"])
def test_up_makes_a_cluster_loads_the_images_and_installs_the_chart(run, script):
    result = run(script, "up")
    assert result.returncode == 0, result.stderr
    load = {"kind": "kind load docker-image ", "minikube": "minikube --profile openaisle image load "}[script]
    for image in ("opt", "adapter", "demo"):
        assert starting(result.calls, f"{load}openaisle/{image}:0.2.0")
    (install,) = starting(result.calls, "helm upgrade --install openaisle ")
    assert "--namespace openaisle --create-namespace --wait" in install
    context = {"kind": "kind-openaisle", "minikube": "openaisle"}[script]
    assert f"--kube-context {context} " in install
    url = {"kind": "http://127.0.0.1:8080", "minikube": "http://192.168.49.2"}[script]
    assert f"curl -N {url}/v1/completions" in result.stdout


def test_kind_serves_the_ingress_on_the_port_that_is_asked_for(run, tmp_path):
    result = run("kind", "up", "--name", "lab", "--port", "9090")
    assert "http://127.0.0.1:9090/v1/completions" in result.stdout
    config = (tmp_path / "calls.config").read_text()
    assert "{containerPort: 80, hostPort: 9090, listenAddress: 127.0.0.1}" in config
    assert "extraMounts" not in config
    assert starting(result.calls, "kind create cluster --name lab ")
    assert starting(
        result.calls, "kubectl --context kind-lab apply -f https://raw.githubusercontent.com/kubernetes/"
    )


def test_kind_uses_podman_where_there_is_no_docker(run):
    result = run("kind", "up", ENGINE="podman")
    assert result.returncode == 0, result.stderr
    assert len(starting(result.calls, "kind load image-archive ")) == 3


@pytest.mark.parametrize("script", ["kind", "minikube"])
def test_gpus_reach_the_model(run, script, tmp_path):
    result = run(script, "up", "--gpus", DOCKER_RUNTIME="nvidia")
    assert result.returncode == 0, result.stderr
    (install,) = starting(result.calls, "helm upgrade --install openaisle ")
    assert "--set modelDefaults.gpuFamily=nvidia" in install
    assert [line for line in result.calls if " load " in line and "openaisle/opt:0.2.0-cu126" in line]
    if script == "kind":
        assert "/var/run/nvidia-container-devices/all" in (tmp_path / "calls.config").read_text()
        assert starting(result.calls, "helm upgrade --install nvidia-device-plugin ")
    else:
        assert "--gpus all" in starting(result.calls, "minikube start ")[0]


def test_kind_says_what_docker_lacks_for_gpus(run):
    result = run("kind", "up", "--gpus")
    assert result.returncode == 1
    assert "nvidia-ctk runtime configure --runtime=docker --set-as-default" in result.stderr
    assert not starting(result.calls, "kind create")


@pytest.mark.parametrize("script", ["kind", "minikube"])
def test_helm_s_options_follow_two_hyphens(run, script):
    result = run(script, "up", "--", "--set", "demo.enabled=false")
    assert starting(result.calls, "helm upgrade --install openaisle ")[0].endswith("--set demo.enabled=false")


@pytest.mark.parametrize("script", ["kind", "minikube"])
def test_down_removes_the_cluster(run, script):
    result = run(script, "down", "--name", "lab")
    delete = {"kind": "kind delete cluster --name lab", "minikube": "minikube delete --profile lab"}[script]
    assert result.calls == [delete]


@pytest.mark.parametrize("script", ["kind", "minikube"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to do: up or down"),
        (["up", "--gpu"], "unknown option --gpu; the options are --gpus, --name NAME, --port PORT"),
        (["up", "--port"], "--port needs a value"),
        (["up", "--port", "http"], '--port is "http", which is no number'),
    ],
)
def test_mistakes_are_named(run, script, arguments, message):
    result = run(script, *arguments)
    assert result.returncode == 1
    assert f"hack/{script}: {message}" in result.stderr


def test_a_missing_program_is_named(run):
    result = run("kind", "up", missing=["helm"])
    assert result.returncode == 1
    assert "hack/kind: needs helm on PATH; see docs/kubernetes.md" in result.stderr
