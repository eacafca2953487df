"""What a mesh does to a request before its fault filter sees it, or to the filter's answer, is said."""

from __future__ import annotations

import pytest

from tests.interop.families import ABORT, fault
from tests.interop.kit import chain, envoy, istio, said
from tests.interop.routes import ANY, OTHER, host, override, route, table

AS_SENT = "paths and hosts are compared as they were sent"
MAPPED = {"mappers": [{"filter": {"header_filter": {"header": {"name": "a"}}}, "status_code": 500}]}
WRITTEN = "Envoy writes this header, or takes it away, before its filters see it; here it is as it was sent"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("normalize_path", True, AS_SENT),
        ("normalize_path", False, ""),
        ("mergeSlashes", True, AS_SENT),
        ("path_with_escaped_slashes_action", "REJECT_REQUEST", AS_SENT),
        ("path_with_escaped_slashes_action", "KEEP_UNCHANGED", ""),
        ("strip_any_host_port", True, AS_SENT),
        (
            "scheme_header_transformation",
            {"match_upstream": True},
            "the scheme is the one by which this service was asked",
        ),
        ("early_header_mutation_extensions", [{"name": "a"}], "headers are compared as they were sent"),
        ("local_reply_config", MAPPED, "an abort is answered as its filter says"),
        ("scheme_header_transformation", {}, ""),
        ("early_header_mutation_extensions", [], ""),
        ("local_reply_config", {}, ""),
    ],
)
def test_what_a_connection_manager_does_beside_its_filters_is_said(name, value, reason):
    imported = envoy(chain(("f", {"abort": ABORT}), **{name: value}))
    assert said(imported) == ([f"f.yaml, line 1: {name}: not carried over: {reason}"] if reason else [])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "ignore_path_parameters_in_path_matching",
            True,
            "paths are compared as they were sent, with their parameters",
        ),
        ("ignore_path_parameters_in_path_matching", False, ""),
        ("internal_only_headers", ["x-h"], "headers are compared as they were sent, whoever sent them"),
        ("internal_only_headers", [], ""),
    ],
)
def test_what_a_table_does_to_a_request_before_it_compares_it_is_said(name, value, reason):
    imported = envoy(table(host(route(ANY, override(abort=OTHER))), **{name: value}))
    assert said(imported) == ([f"f.yaml, line 1: route_config.{name}: not carried over: {reason}"] if reason else [])


def test_a_host_that_wants_tls_is_said_to_spare_what_comes_without():
    wanted = {**host(route(ANY, override(abort=OTHER))), "require_tls": "ALL"}
    reason = "what comes without TLS the mesh redirects, without the faults of this host"
    imported = envoy(table(wanted, chain=fault(abort=ABORT)))
    assert said(imported) == [f"f.yaml, line 1: route_config.virtual_hosts[0].require_tls: {reason}"]
    assert not imported.losses


def test_a_condition_on_a_header_that_the_mesh_writes_itself_is_said():
    own = [{"name": name, "present_match": True} for name in ("X-Request-Id", "x-h", "te")]
    assert said(envoy(chain(("f", {"abort": ABORT, "headers": own})))) == [
        f"f.yaml, line 1: http_filters[0].typed_config.headers[{number}].name: {WRITTEN}" for number in (0, 2)
    ]
    matched = table(host(route({**ANY, "headers": own[:1]}, override(abort=OTHER))))
    place = "route_config.virtual_hosts[0].routes[0].match.headers[0].name"
    assert said(envoy(matched)) == [f"f.yaml, line 1: {place}: {WRITTEN}"]


def test_an_istio_condition_on_a_header_that_the_mesh_writes_itself_is_said():
    fault_ = "fault: {abort: {httpStatus: 503, percentage: {value: 1}}}"
    imported = istio(
        f"{{{fault_}, match: [{{headers: {{x-forwarded-proto: {{exact: https}}}}, withoutHeaders: {{te: {{}}}}}}]}}"
    )
    found = [remark for remark in said(imported) if WRITTEN in remark]
    assert found == [
        f"f.yaml, line 6: spec.http[0].match[0].headers.x-forwarded-proto: {WRITTEN}",
        f"f.yaml, line 6: spec.http[0].match[0].withoutHeaders.te: {WRITTEN}",
    ]


@pytest.mark.parametrize(("share", "is_said"), [(100, True), (0, False)])
def test_where_headers_are_heeded_is_said(share, is_said):
    imported = envoy(chain(("a", {"abort": {"header_abort": {}, "percentage": {"numerator": share}}})))
    reason = "what a request asks for by headers is heeded where FAULTWARE_ENVOY_HEADERS is true"
    assert (f"f.yaml, line 1: http_filters[0].typed_config: {reason}" in said(imported)) is is_said
    assert not imported.losses
