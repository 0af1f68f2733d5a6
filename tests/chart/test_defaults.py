"""`helm install` without values."""

import yaml


def test_the_bundled_model_is_served_on_cpu_without_network(render):
    container = render().container("openaisle-tiny-opt")
    assert container["image"] == "openaisle/opt:0.2.0"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert "--served-model-name=openaisle/tiny-opt" in container["args"]
    assert "--device=cpu" in container["args"]
    assert not [argument for argument in container["args"] if argument.startswith("--model=")]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "1536Mi"}


def test_the_gateway_finds_models_by_the_labels_of_their_services(render):
    objects = render()
    service = objects.one("Service", "openaisle-tiny-opt")
    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["annotations"] == {"openaisle.io/model": "openaisle/tiny-opt"}
    selector = next(
        argument.removeprefix("--selector=")
        for argument in objects.container("openaisle-adapter")["args"]
        if argument.startswith("--selector=")
    )
    for term in selector.split(","):
        label, value = term.split("=")
        assert service["metadata"]["labels"][label] == value


def test_the_gateway_may_only_read_services_and_their_endpoints(render):
    objects = render()
    assert objects.one("Role", "openaisle-adapter")["rules"] == [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch"]},
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    assert not objects.of("ClusterRole")
    assert not objects.of("ClusterRoleBinding")


def test_every_selector_finds_its_own_pods_and_no_others(render):
    objects = render({"models": [{"name": "one"}, {"name": "two"}]})
    workloads = [item for item in objects.all if item["kind"] in ("Deployment", "StatefulSet")]
    for workload in workloads:
        selector = workload["spec"]["selector"]["matchLabels"]
        found = [
            other["metadata"]["name"]
            for other in workloads
            if selector.items() <= other["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert found == [workload["metadata"]["name"]]


def test_services_lead_to_ports_that_containers_open(render):
    objects = render()
    for name, port in (("openaisle-adapter", 8000), ("openaisle-demo", 8080)):
        assert objects.one("Service", name)["spec"]["ports"][0]["port"] == 80
        assert {"name": "http", "containerPort": port} in objects.container(name)["ports"]


def test_a_release_of_another_name_has_its_own_names(render):
    names = {item["metadata"]["name"] for item in render(release="lab").all}
    assert {"lab-openaisle-adapter", "lab-openaisle-demo", "lab-openaisle-tiny-opt"} <= names
    assert all(name.startswith("lab-openaisle") for name in names)


def test_the_registry_stands_before_every_image(render):
    values = {"image": {"registry": "registry.example.org:5000", "tag": "1.2.3", "pullSecrets": ["regcred"]}}
    objects = render(values)
    for part in ("adapter", "demo", "tiny-opt", "test"):
        image = "opt" if part == "tiny-opt" else "adapter" if part == "test" else part
        name = f"openaisle-{part}"
        assert objects.container(name)["image"] == f"registry.example.org:5000/openaisle/{image}:1.2.3"
        assert objects.pod(name)["spec"]["imagePullSecrets"] == [{"name": "regcred"}]


def test_chart_and_programs_have_one_version(root):
    chart = yaml.safe_load((root / "charts/openaisle/Chart.yaml").read_text())
    source = (root / "images/opt/openaisle_opt/__init__.py").read_text()
    assert f'__version__ = "{chart["appVersion"]}"' in source
