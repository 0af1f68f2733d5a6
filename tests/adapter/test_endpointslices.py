"""From Services and EndpointSlices to backends."""

from __future__ import annotations

import pytest
from adapter.fake_kubernetes import endpoint, endpoint_slice, service
from openaisle_adapter.backends import Backend
from openaisle_adapter.discovery.endpointslices import snapshot_of

OPT = service("opt", "facebook/opt-125m")


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ({"ready": True, "serving": True, "terminating": False}, True),
        ({}, True),  # the API says: a missing condition counts as ready
        ({"ready": True}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True, "terminating": True}, False),
        ({"ready": True, "serving": False, "terminating": False}, False),  # publishNotReadyAddresses
        ({"ready": True, "serving": True, "terminating": True}, False),
    ],
)
def test_conditions_decide_whether_a_pod_is_ready(conditions, ready):
    snapshot = snapshot_of([OPT], [endpoint_slice("s", "opt", 8000, endpoint("10.0.0.1", **conditions))])
    assert snapshot.backends == (Backend("http://10.0.0.1:8000", "facebook/opt-125m", ready),)


def test_several_slices_add_up():
    slices = [
        endpoint_slice("s1", "opt", 8000, endpoint("10.0.0.1"), endpoint("10.0.0.2")),
        endpoint_slice("s2", "opt", 8000, endpoint("10.0.0.3")),
    ]
    assert len(snapshot_of([OPT], slices).backends) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_address_in_two_slices_counts_once_and_as_ready_if_either_says_so(order):
    slices = [
        endpoint_slice("s1", "opt", 8000, endpoint("10.0.0.1", ready=False)),
        endpoint_slice("s2", "opt", 8000, endpoint("10.0.0.1", ready=True)),
    ][::order]
    assert snapshot_of([OPT], slices).backends == (
        Backend("http://10.0.0.1:8000", "facebook/opt-125m", True),
    )


def test_model_without_endpoints_is_known_all_the_same():
    for slices in (
        [],
        [endpoint_slice("s", "opt", 8000)],
        [{"metadata": {"labels": None}, "endpoints": None}],
    ):
        snapshot = snapshot_of([OPT], slices)
        assert (snapshot.models, snapshot.backends) == (("facebook/opt-125m",), ())
        assert snapshot.complete


def test_services_without_a_model_and_slices_of_others_are_ignored():
    services = [service("bare", None), {"metadata": {"name": "null", "annotations": None}}]
    snapshot = snapshot_of(services, [endpoint_slice("s", "bare", 8000, endpoint("10.0.0.1"))])
    assert (snapshot.models, snapshot.backends) == ((), ())


def test_two_services_may_serve_one_model():
    services = [OPT, service("opt-gpu", "facebook/opt-125m")]
    slices = [
        endpoint_slice("a", "opt", 8000, endpoint("10.0.0.1")),
        endpoint_slice("b", "opt-gpu", 9000, endpoint("10.0.0.2")),
    ]
    snapshot = snapshot_of(services, slices)
    assert snapshot.models == ("facebook/opt-125m",)
    assert [backend.url for backend in snapshot.backends] == ["http://10.0.0.1:8000", "http://10.0.0.2:9000"]


@pytest.mark.parametrize(
    ("ports", "url"),
    [
        ([{"name": "metrics", "port": 9}, {"name": "http", "port": 8}], "http://10.0.0.1:8"),
        ([{"name": "web", "port": 7}], "http://10.0.0.1:7"),
        ([{"name": "", "port": 7, "appProtocol": "https"}], "https://10.0.0.1:7"),
        ([{"name": "http", "port": 7, "protocol": "UDP"}, {"port": 6}], "http://10.0.0.1:6"),
    ],
)
def test_port_called_http_is_taken_or_else_the_first(ports, url):
    slice_ = {**endpoint_slice("s", "opt", 1, endpoint("10.0.0.1")), "ports": ports}
    assert [backend.url for backend in snapshot_of([OPT], [slice_]).backends] == [url]


def test_slice_without_ports_has_no_backends():
    slice_ = {**endpoint_slice("s", "opt", 1, endpoint("10.0.0.1")), "ports": None}
    assert snapshot_of([OPT], [slice_]).backends == ()


def test_addresses_of_ipv6_are_put_in_brackets():
    snapshot = snapshot_of([OPT], [endpoint_slice("s", "opt", 8000, endpoint("fd00::1"))])
    assert snapshot.backends[0].url == "http://[fd00::1]:8000"
