"""How clients get in: keys, Ingress, HTTPRoute and NetworkPolicies."""

import base64

import pytest
import yaml
from openaisle_adapter.limits_file import KeyLimits, LimitsFile


class TestKeys:
    def test_a_key_is_generated_and_outlives_the_release(self, render):
        secret = render().one("Secret", "openaisle-keys")
        assert base64.b64decode(secret["data"]["default"]).startswith(b"sk-")
        assert len(base64.b64decode(secret["data"]["default"])) == 51
        assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}

    def test_given_keys_are_taken(self, render):
        secret = render({"auth": {"keys": {"alice": "sk-12345678"}}}).one("Secret", "openaisle-keys")
        assert secret["data"] == {"alice": base64.b64encode(b"sk-12345678").decode()}

    def test_an_existing_secret_comes_before_given_keys(self, render):
        objects = render({"auth": {"existingSecret": "ours", "keys": {"alice": "sk-12345678"}}})
        assert not objects.of("Secret")
        for pod in ("openaisle-adapter", "openaisle-test"):
            assert objects.pod(pod)["spec"]["volumes"][0]["secret"]["secretName"] == "ours"

    def test_keys_are_a_folder_so_that_changes_arrive(self, render):
        mounts = render().container("openaisle-adapter")["volumeMounts"]
        assert {"name": "keys", "mountPath": "/etc/openaisle/keys", "readOnly": True} in mounts

    def test_limits_of_keys_are_a_file_that_changes_without_a_restart(self, render):
        limits = {"default": {"requestsPerMinute": 60}, "keys": {"alice": {"models": ["facebook/opt-125m"]}}}
        objects = render({"auth": {"limits": limits}})
        written = yaml.safe_load(objects.one("ConfigMap", "openaisle-adapter")["data"]["limits.yaml"])
        assert written["default"]["requestsPerMinute"] == 60
        assert written["keys"] == limits["keys"]
        gateway = objects.container("openaisle-adapter")
        assert "--limits-file=/etc/openaisle/limits/limits.yaml" in gateway["args"]
        assert {"name": "limits", "mountPath": "/etc/openaisle/limits", "readOnly": True} in gateway[
            "volumeMounts"
        ]
        assert objects.pod("openaisle-adapter") == render().pod("openaisle-adapter")

    @pytest.mark.parametrize(
        "entry", [{"requestsPerMinute": -1}, {"rpm": 3}, {"models": "facebook/opt-125m"}]
    )
    def test_limits_that_are_none_are_refused(self, refusal, entry):
        assert "limits" in refusal({"auth": {"limits": {"keys": {"alice": entry}}}})

    def test_the_limits_are_what_the_gateway_reads(self, render, tmp_path):
        file = tmp_path / "limits.yaml"
        keys = {"alice": {"tokensPerMinute": 5}}
        objects = render({"auth": {"limits": {"default": {"concurrentRequests": 2}, "keys": keys}}})
        file.write_text(objects.one("ConfigMap", "openaisle-adapter")["data"]["limits.yaml"])
        table = LimitsFile(file).read()
        assert table.of("alice") == KeyLimits(tokens_per_minute=5, concurrent_requests=2)


def paths(objects):
    return {
        path["path"]: path["backend"]["service"]["name"]
        for path in objects.one("Ingress", "openaisle")["spec"]["rules"][0]["http"]["paths"]
    }


def route_paths(objects):
    return {
        rule["matches"][0]["path"]["value"]: rule["backendRefs"][0]["name"]
        for rule in objects.one("HTTPRoute", "openaisle")["spec"]["rules"]
    }


class TestIngress:
    def test_leads_the_api_to_the_gateway_and_the_rest_to_the_page(self, render):
        objects = render()
        assert objects.one("Ingress", "openaisle")["spec"]["ingressClassName"] == "nginx"
        assert paths(objects) == {
            "/v1": "openaisle-adapter",
            "/docs": "openaisle-adapter",
            "/openapi.json": "openaisle-adapter",
            "/tokenize": "openaisle-adapter",
            "/detokenize": "openaisle-adapter",
            "/tokenizer_info": "openaisle-adapter",
            "/": "openaisle-demo",
        }

    def test_a_path_prefix_is_known_to_ingress_route_gateway_and_page(self, render):
        route = {"enabled": True, "parentRefs": [{"name": "public"}]}
        objects = render({"ingress": {"pathPrefix": "/openaisle"}, "httpRoute": route})
        assert paths(objects)["/openaisle/v1"] == "openaisle-adapter"
        assert paths(objects)["/openaisle"] == "openaisle-demo"
        assert all(path.startswith("/openaisle") for path in paths(objects))
        assert route_paths(objects) == paths(objects)
        assert "--path-prefix=/openaisle" in objects.container("openaisle-adapter")["args"]
        assert {"name": "PATH_PREFIX", "value": "/openaisle"} in objects.container("openaisle-demo")["env"]

    def test_leads_everything_to_the_gateway_without_a_page(self, render):
        objects = render({"demo": {"enabled": False}})
        assert set(paths(objects).values()) == {"openaisle-adapter"}
        assert not [item for item in objects.all if item["metadata"]["name"].endswith("-demo")]

    @pytest.mark.parametrize(
        ("preset", "annotation", "value"),
        [
            ("ingress-nginx", "nginx.ingress.kubernetes.io/proxy-buffering", "off"),
            ("ingress-nginx", "nginx.ingress.kubernetes.io/proxy-body-size", "5242880"),
            ("f5", "nginx.org/proxy-buffering", "False"),
            ("f5", "nginx.org/client-max-body-size", "5242880"),
        ],
    )
    def test_presets_keep_streams_unbuffered_and_let_large_bodies_in(self, render, preset, annotation, value):
        ingress = render({"ingress": {"preset": preset, "host": "llm.example.org"}}).one(
            "Ingress", "openaisle"
        )
        assert ingress["metadata"]["annotations"][annotation] == value

    @pytest.mark.parametrize("preset", ["traefik", "none"])
    def test_without_a_preset_has_the_given_annotations_only(self, render, preset):
        ingress = render({"ingress": {"preset": preset, "annotations": {"a": "b"}}}).one(
            "Ingress", "openaisle"
        )
        assert ingress["metadata"]["annotations"] == {"a": "b"}

    def test_serves_https_with_a_certificate_of_cert_manager(self, render):
        values = {"host": "llm.example.org", "tls": {"enabled": True, "clusterIssuer": "letsencrypt"}}
        ingress = render({"ingress": values}).one("Ingress", "openaisle")
        assert ingress["spec"]["tls"] == [{"secretName": "openaisle-tls", "hosts": ["llm.example.org"]}]
        assert ingress["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] == "letsencrypt"


def test_an_httproute_leads_where_the_ingress_does(render):
    route = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["llm.example.org"]}
    objects = render({"httpRoute": route})
    spec = objects.one("HTTPRoute", "openaisle")["spec"]
    assert spec["parentRefs"] == route["parentRefs"]
    assert route_paths(objects) == paths(objects)


class TestNetworkPolicies:
    def test_only_the_gateway_reaches_a_model(self, render):
        (rule,) = render().one("NetworkPolicy", "openaisle-tiny-opt")["spec"]["ingress"]
        (peer,) = rule["from"]
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "adapter"
        assert rule["ports"] == [{"port": 8000}]

    def test_a_model_opens_connections_only_to_fetch_its_weights(self, render):
        assert render().one("NetworkPolicy", "openaisle-tiny-opt")["spec"]["egress"] == []
        objects = render({"models": [{"name": "m", "model": "facebook/opt-125m"}]})
        ports = [
            port["port"]
            for rule in objects.one("NetworkPolicy", "openaisle-m")["spec"]["egress"]
            for port in rule["ports"]
        ]
        assert set(ports) == {53, 5353, 443}

    def test_clients_and_prometheus_are_named_in_values(self, render):
        clients = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
        metrics = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
        objects = render({"networkPolicy": {"clients": [clients], "metrics": [metrics]}})
        for part in ("adapter", "demo"):
            assert clients in objects.one("NetworkPolicy", f"openaisle-{part}")["spec"]["ingress"][0]["from"]
        assert metrics in objects.one("NetworkPolicy", "openaisle-tiny-opt")["spec"]["ingress"][0]["from"]

    def test_can_be_left_out(self, render):
        assert not render({"networkPolicy": {"enabled": False}}).of("NetworkPolicy")
