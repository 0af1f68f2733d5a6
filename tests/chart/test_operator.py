"""The operator's part of the chart."""

import shutil

import yaml
from openaisle_operator.kinds import CHILDREN, OPT_MODEL, POD

ON = {"operator": {"enabled": True}}
CHANGE = {"get", "list", "watch", "create", "patch", "delete"}


def rules(objects, name="openaisle-operator"):
    """The verbs by group and resource."""
    return {
        (group, resource): set(rule["verbs"])
        for rule in objects.one("Role", name)["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_nothing_of_it_is_there_by_default(render):
    assert [item["metadata"]["name"] for item in render().all if "operator" in item["metadata"]["name"]] == []
    assert render().of("CustomResourceDefinition") == {}


def test_the_role_allows_what_the_program_does_and_no_more(render):
    expected = {(kind.group, kind.plural): CHANGE for kind in CHILDREN}
    expected["", "persistentvolumeclaims"] = CHANGE - {"delete"}
    expected[OPT_MODEL.group, OPT_MODEL.plural] = {"get", "list", "watch"}
    expected[OPT_MODEL.group, f"{OPT_MODEL.plural}/status"] = {"patch"}
    expected["", POD.plural] = {"get", "list", "watch"}
    expected["", "events"] = {"create", "list"}
    objects = render(ON)
    assert rules(objects) == expected
    assert objects.of("ClusterRole").keys() & {"openaisle-operator"} == set()


def test_the_definition_of_opt_models_stays_at_an_uninstall(render):
    (definition,) = render(ON).of("CustomResourceDefinition").values()
    assert definition["metadata"]["name"] == "optmodels.openaisle.io"
    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_definition_can_be_left_to_someone_else(render):
    objects = render({"operator": {"enabled": True, "crd": False}})
    assert objects.of("CustomResourceDefinition") == {}
    assert objects.one("Deployment", "openaisle-operator")


def test_a_change_of_what_models_share_restarts_the_operator(render):
    def checksum(**values):
        return render({**ON, **values}).pod("openaisle-operator")["metadata"]["annotations"]

    assert checksum() == checksum(auth={"keys": {"alice": "sk-another-key"}})
    assert checksum() != checksum(modelDefaults={"replicas": 2})
    assert checksum() != checksum(models=[{"name": "another"}])


def test_it_reaches_the_api_server_and_is_reached_by_nobody(render):
    policy = render(ON).one("NetworkPolicy", "openaisle-operator")["spec"]
    assert policy["ingress"] == []
    assert policy["egress"] == [{"ports": [{"port": 443}, {"port": 6443}]}]


def test_with_an_alias_the_operator_s_copy_of_the_chart_gives_the_same_names(chart, render, tmp_path):
    """A parent chart may call it `llm`; the operator's copy is called openaisle."""
    aliased = tmp_path / "llm"
    shutil.copytree(chart, aliased)
    description = (aliased / "Chart.yaml").read_text()
    (aliased / "Chart.yaml").write_text(description.replace("name: openaisle\n", "name: llm\n", 1))
    objects = render({**ON, "models": [{"name": "m"}]}, chart=aliased, release="prod")
    values = yaml.safe_load(objects.one("ConfigMap", "prod-llm-operator")["data"]["release.yaml"])["values"]
    copy = render({**values, "models": [{"name": "m"}]}, release="prod")
    assert copy.one("StatefulSet", "prod-llm-m")["spec"] == objects.one("StatefulSet", "prod-llm-m")["spec"]
