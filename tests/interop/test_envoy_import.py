"""Envoy's configurations as rules: what the differential tests cannot see, since it is said and not done."""

from __future__ import annotations

import pytest

from faultware import Abort, Delay, Match, Rule, TextMatch
from faultware.core.faults import Throttle
from faultware.core.request import Request
from faultware.errors import RuleError
from tests.interop.families import ABORT, ALWAYS, fault, override
from tests.interop.kit import chain, envoy, said
from tests.interop.mesh import MANAGER, bootstrap
from tests.interop.routes import ANY, host, route, table

DOWN = Abort(503, body="fault filter abort", content_type="text/plain")
TENTH = {"numerator": 10}


def test_the_snippet_that_everybody_copies_becomes_one_rule():
    imported = envoy(
        """
http_filters:
  - name: envoy.filters.http.fault
    typed_config:
      '@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
      abort: {http_status: 503, percentage: {numerator: 10, denominator: HUNDRED}}
      headers: [{name: ':path', string_match: {prefix: '/payment'}}]
"""
    )
    (rule,) = imported.rules
    assert rule == Rule(match=Match(headers={":path": TextMatch(prefix="/payment")}), percentage=10, abort=DOWN)
    assert rule.name.startswith("payment-abort-")
    assert imported.remarks == ()


def test_delay_abort_and_limit_of_one_filter_are_one_rule_whose_faults_roll_for_themselves():
    config = {
        "delay": {"fixed_delay": "1.9999s", "percentage": {"numerator": 1, "denominator": "MILLION"}},
        "abort": {"http_status": 503, "percentage": TENTH},
        "response_rate_limit": {"fixed_limit": {"limit_kbps": 3}, "percentage": {"numerator": 250, "denominator": 1}},
    }
    (rule,) = envoy(chain(("pay", config))).rules
    assert rule.name == "pay"
    assert rule.percentage == 100
    assert rule.delay == Delay(1.999, percentage=0.0001)
    assert rule.abort.percentage == 10
    assert rule.throttle == Throttle(3072, percentage=2.5)


@pytest.mark.parametrize(
    ("config", "remark"),
    [
        ({"abort": {"http_status": 503}}, ".abort: without percentage it never acts"),
        ({"abort": {"http_status": 503, "percentage": {}}}, ".abort: its percentage is 0, so it never acts"),
        ({"abort": {**ABORT}, "max_active_faults": 0}, ": max_active_faults is 0, so it never acts"),
        (
            {"delay": {"fixed_delay": "0.0005s", "percentage": ALWAYS}},
            ".delay.fixed_delay: a delay is cut to whole milliseconds, so this one does nothing",
        ),
        (
            {"abort": ABORT, "headers": [{"name": "x", "range_match": {"start": 2, "end": 1}}]},
            ": its conditions can never be met, so it never acts",
        ),
        (
            {"abort": {"grpc_status": 17, "percentage": ALWAYS}},
            ".abort.grpc_status: not carried over: gRPC knows no status 17: 0 to 16",
        ),
    ],
)
def test_what_never_acts_becomes_no_rule_and_is_said(config, remark):
    imported = envoy(chain(("a", config)))
    assert imported.rules == ()
    assert said(imported)[-1] == f"f.yaml, line 1: http_filters[0].typed_config{remark}"


@pytest.mark.parametrize(
    ("config", "remark"),
    [
        (
            {"abort": {"http_status": 503, "percentage": {"numerator": 200}}},
            ".abort.percentage: 200 of 100 is always",
        ),
        (
            {"abort": {"http_status": 204, "percentage": ALWAYS, "response_body": "x"}},
            ".abort.response_body: an answer with status 204 has no body here",
        ),
        (
            {"abort": ABORT, "filter_metadata": {"a": 1}},
            ".filter_metadata: not carried over: there is no dynamic metadata in process",
        ),
        (
            {"abort": ABORT, "disable_downstream_cluster_stats": True},
            (
                ".disable_downstream_cluster_stats: not carried over: "
                "counters are never named after a request's header here"
            ),
        ),
    ],
)
def test_what_is_carried_over_with_a_difference_is_said(config, remark):
    imported = envoy(chain(("a", config)))
    assert len(imported.rules) == 1
    assert said(imported) == [f"f.yaml, line 1: http_filters[0].typed_config{remark}"]


def test_metadata_that_say_nothing_are_no_loss():
    assert said(envoy(chain(("a", {"abort": ABORT, "filter_metadata": {}})))) == []


def test_a_cluster_cannot_be_seen_so_its_faults_are_left_out_unless_it_is_this_service():
    document = chain(("a", {"abort": ABORT, "upstream_cluster": "payments"}))
    imported = envoy(document)
    assert imported.rules == ()
    assert said(imported) == [
        (
            "f.yaml, line 1: http_filters[0].typed_config.upstream_cluster: not carried over: which cluster a request "
            "is routed to is not known in process; say which one this service is; so its faults are left out"
        )
    ]
    assert len(envoy(document, cluster="payments").rules) == 1
    assert envoy(document, cluster="others").rules == ()


def test_a_condition_of_an_extension_spares_the_route_it_stands_on():
    custom = {"name": "x", "string_match": {"custom": {"name": "mine"}}}
    document = table(
        host(route({"prefix": "/a", "headers": [custom]}, override(abort=ABORT)), route(ANY, override(abort=ABORT)))
    )
    imported = envoy(document)
    assert [(rule.match.raw_path, len(rule.faults)) for rule in imported.rules] == [
        (TextMatch(prefix="/a"), 0),
        (None, 1),
    ]
    assert [remark.what for remark in imported.losses] == [
        "route_config.virtual_hosts[0].routes[0].match.headers[0].string_match.custom"
    ]


@pytest.mark.parametrize("name", ["runtime_fraction", "tls_context", "dynamic_metadata", "filter_state", "cookies"])
def test_a_route_that_asks_for_what_is_not_known_spares_what_it_matches(name):
    imported = envoy(
        table(host(route({"prefix": "/a", name: {}}, override(abort=ABORT)), route(ANY)), chain=fault(abort=ABORT))
    )
    assert [len(rule.faults) for rule in imported.rules] == [0, 1]
    assert f"{name} is not known in process; these requests are spared" in said(imported)[0]


def test_a_share_of_the_weights_is_a_share_of_the_requests():
    clusters = [
        {"name": "a", "weight": 1, "typed_per_filter_config": override(abort=ABORT)},
        {"name": "b", "weight": 3},
    ]
    weighted = route({"prefix": "/a"}, None, route={"weighted_clusters": {"clusters": clusters}})
    first, *_ = envoy(table(host(weighted, route(ANY)))).rules
    assert (first.percentage, first.abort) == (25, DOWN)


def test_clusters_with_the_same_faults_are_one_share():
    clusters = [
        {"name": name, "weight": weight, "typed_per_filter_config": override(abort=ABORT, headers=[{"name": "x-h"}])}
        for name, weight in (("a", 1), ("b", 2))
    ]
    for weight, percentage in ((0, 100), (1, 75)):
        every = [*clusters, {"name": "c", "weight": weight, "typed_per_filter_config": override()}]
        weighted = route({"prefix": "/a"}, None, route={"weighted_clusters": {"clusters": every}})
        first, *_ = envoy(table(host(weighted, route(ANY)), chain=fault(abort=ABORT))).rules
        assert (first.percentage, first.abort) == (percentage, DOWN)


BELOW_A = {"prefix": "/a"}


def drawn(*clusters, match=BELOW_A, **more):
    """A table with a route that draws between clusters, each with its weight and faults; and what stands behind it."""
    made = [
        {"name": f"c{number}", "weight": weight, "typed_per_filter_config": override(**config)}
        for number, (weight, config) in enumerate(clusters)
    ]
    weighted = route(match, None, route={"weighted_clusters": {"clusters": made, **more}})
    return envoy(table(host(weighted, route(ANY)), chain=fault(abort={**ABORT, "http_status": 410})))


DOWN_500 = {"abort": {**ABORT, "http_status": 500}}


def test_clusters_with_faults_of_their_own_have_parts_of_a_group():
    on_header = {"abort": ABORT, "headers": [{"name": "x-h"}]}
    imported = drawn((1, DOWN_500), (5, {}), (2, on_header), (2, DOWN_500), (0, {"abort": ABORT}))
    assert said(imported) == []
    assert [(rule.part, bool(rule.match.headers), len(rule.faults)) for rule in imported.rules] == [
        ((0, 30), False, 1),
        ((30, 50), True, 1),
        # Who is drawn for this cluster and does not meet its condition does not fall to another.
        ((30, 50), False, 0),
        (None, False, 0),
        (None, False, 1),
    ]
    assert {rule.group for rule in imported.rules} == {"r"}


def test_the_last_of_several_clusters_with_faults_takes_the_rest():
    imported = drawn((1, DOWN_500), (2, {"abort": ABORT}))
    assert [(rule.part, rule.abort.status) for rule in imported.rules] == [
        ((0, 100 / 3), 500),
        (None, 503),
        (None, 410),
    ]


@pytest.mark.parametrize(
    ("clusters", "parts"),
    [
        ([(1, DOWN_500), (2, {"abort": ABORT})], [(0, 100 / 3), None]),
        ([(1, DOWN_500), (1, {"abort": ABORT}), (2, {})], [(0, 25), (25, 50)]),
    ],
)
def test_clusters_of_a_route_that_takes_every_request_leave_nothing_to_the_chain(clusters, parts):
    assert [rule.part for rule in drawn(*clusters, match=ANY).rules] == parts


@pytest.mark.parametrize(
    "more", [{"header_name": "x-number"}, {"use_hash_policy": True}, {"runtime_key_prefix": "weights"}], ids=str
)
def test_clusters_that_are_not_drawn_by_chance_alone_are_told(more):
    (name,) = more
    (remark,) = said(drawn((1, DOWN_500), (1, {}), **more))
    reason = "not carried over: the clusters are drawn by chance and by their weights here"
    assert remark.endswith(f".weighted_clusters.{name}: {reason}")


def test_routes_without_overrides_make_no_group():
    imported = envoy(table(host(route({"prefix": "/a"}), route(ANY)), chain=fault(abort=ABORT)))
    (rule,) = imported.rules
    assert (rule.group, rule.match) == ("", Match())


def test_overrides_make_a_group_that_is_called_by_its_table_and_rules_by_their_routes():
    document = table(host(route({"path": "/a"}, override(abort=ABORT), name="Pay_Now"), route(ANY)))
    (rule,) = envoy(document).rules
    assert (rule.name, rule.group, rule.match) == ("pay_now", "", Match(raw_path="/a")) or rule.group == "r"


def test_bounds_become_the_one_bound_of_the_process():
    one = envoy(chain(("a", {"abort": ABORT, "max_active_faults": 7})))
    assert (one.settings, one.losses) == ({"max_active_faults": 7}, ())
    two = envoy(chain(("a", {"abort": ABORT, "max_active_faults": 7}), ("b", {"abort": ABORT, "max_active_faults": 3})))
    assert two.settings == {"max_active_faults": 3}
    assert said(two) == [
        (
            "f.yaml, line 1: http_filters[0].typed_config: not carried over: one bound holds for the whole process: "
            "the least, 3"
        )
    ]


def test_two_filters_with_one_name_are_two_rules():
    imported = envoy(chain(("pay", {"abort": ABORT}), ("pay", {"abort": ABORT})))
    assert [rule.name for rule in imported.rules] == ["pay", "pay-2"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, (100, 503, 1.0)),
        ({"fault.http.abort.abort_percent": 7}, (7, 503, 1.0)),
        ({"fault.http.abort.abort_percent": 4000}, (100, 503, 1.0)),
        ({"fault.http.abort.http_status": 500, "fault.http.delay.fixed_duration_ms": 20}, (100, 500, 0.02)),
    ],
)
def test_runtime_keys_override_what_is_configured(keys, expected):
    config = {"abort": ABORT, "delay": {"fixed_delay": "1s", "percentage": ALWAYS}}
    (rule,) = envoy(chain(("a", config)), runtime=keys).rules
    assert (rule.abort.percentage, rule.abort.status, rule.delay.distribution.low_seconds) == expected


def test_runtime_keys_create_nothing_and_can_switch_off():
    keys = {"fault.http.abort.abort_percent": 0, "fault.http.delay.fixed_delay_percent": 100}
    assert envoy(chain(("a", {"abort": ABORT})), runtime=keys).rules == ()


def test_callers_with_runtime_keys_of_their_own_are_spared_and_reported():
    keys = {"fault.http.web.abort.abort_percent": 5, "fault.http.a.b.delay.fixed_duration_ms": 7}
    imported = envoy(chain(("a", {"abort": ABORT})), runtime=keys)
    (rule,) = imported.rules
    assert [remark.reason for remark in imported.losses] == [
        "runtime keys of callers (a.b, web): any client may write their header; they are spared"
    ]
    header = "x-envoy-downstream-service-cluster"
    for lines, expected in (((), True), (("other",), True), (("web",), False), (("a.b",), False)):
        asked = Request(headers=[(header, line) for line in lines])
        assert rule.match.accepts(asked) is expected
    assert envoy(chain(("a", {})), runtime=keys).remarks == ()


def test_a_runtime_key_may_have_another_name():
    config = {"abort": {"http_status": 503, "percentage": TENTH}, "abort_percent_runtime": "mine"}
    keys = {"mine": 3, "fault.http.abort.abort_percent": 4}
    (rule,) = envoy(chain(("a", config)), runtime=keys).rules
    assert rule.percentage == 3
    # An empty name is none.
    (rule,) = envoy(chain(("a", {**config, "abort_percent_runtime": ""})), runtime=keys).rules
    assert rule.percentage == 4


@pytest.mark.parametrize(
    ("kind", "key"),
    [("abort", "abort.http_status"), ("abort", "abort.grpc_status"), ("delay", "delay.fixed_duration_ms")],
)
def test_a_runtime_key_for_what_a_request_asks_for_is_reported(kind, key):
    config = {kind: {f"header_{kind}": {}, "percentage": {"numerator": 100}}}
    imported = envoy(chain(("a", config)), runtime={f"fault.http.{key}": 503 if "http" in key else 3})
    place = f"http_filters[0].typed_config.{kind}.header_{kind}"
    reason = f"the runtime key fault.http.{key} replaces what a request asks for; here it gets what it asked for"
    assert said(imported)[0] == f"f.yaml, line 1: {place}: not carried over: {reason}"
    assert len(imported.rules) == 1


def test_a_runtime_key_of_no_duration_switches_off_what_a_request_asks_for():
    config = {"delay": {"header_delay": {}, "percentage": {"numerator": 100}}}
    imported = envoy(chain(("a", config)), runtime={"fault.http.delay.fixed_duration_ms": 0})
    place = "http_filters[0].typed_config.delay.header_delay"
    assert said(imported) == [f"f.yaml, line 1: {place}: a runtime key says 0 milliseconds, so it never acts"]
    assert imported.rules == ()


def test_a_runtime_value_passes_the_same_checks_as_a_configured_one():
    with pytest.raises(RuleError) as caught:
        envoy(chain(("a", {"abort": ABORT})), runtime={"fault.http.abort.http_status": 600})
    assert str(caught.value) == "runtime key fault.http.abort.http_status: 600 is not possible (200 to 599)"


def test_a_bootstrap_brings_its_runtime_layers_along():
    document = bootstrap({"in": chain(("a", {"abort": ABORT}))}, 1)
    layers = [
        {"name": "a", "static_layer": {"fault.http.abort.abort_percent": 1, "other": "text"}},
        {
            "name": "b",
            "static_layer": {
                "fault": {"http": {"abort": {"abort_percent": {"numerator": 1, "denominator": "TEN_THOUSAND"}}}}
            },
        },
    ]
    document["layered_runtime"] = {"layers": layers}
    (rule,) = envoy(document).rules
    assert rule.percentage == 0.01
    assert envoy(document, runtime={"fault.http.abort.abort_percent": 9}).rules[0].percentage == 9


def test_of_several_listeners_with_faults_one_has_to_be_named():
    document = bootstrap({"in": chain(("a", {"abort": ABORT})), "out": chain(("b", {"abort": ABORT})), "x": chain()}, 1)
    with pytest.raises(RuleError, match=r"several listeners have faults: in, out \(say which stands in front"):
        envoy(document)
    assert [rule.name for rule in envoy(document, listener="out").rules] == ["b"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda config: config,
        lambda config: {"@type": chain(("a", {}))["http_filters"][0]["typed_config"]["@type"], **config},
        lambda config: fault(**config),
        lambda config: [fault(**config)],
        lambda config: {"http_filters": [fault(**config)]},
        lambda config: {"httpFilters": [{"name": "a", "typedConfig": fault(**config)["typed_config"]}]},
        lambda config: {"match": ANY, "typed_per_filter_config": override(**config)},
        lambda config: host(route(ANY, override(**config))),
        lambda config: {"virtual_hosts": [host(route(ANY, override(**config)))]},
        lambda config: bootstrap({"in": chain(("a", config))}, 1)["static_resources"]["listeners"][0],
        lambda config: {"@type": MANAGER, **chain(("a", config))},
        lambda config: {
            "http_filters": [
                {
                    "name": "a",
                    "typed_config": {
                        "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
                        "type_url": fault()["typed_config"]["@type"],
                        "value": config,
                    },
                }
            ]
        },
    ],
)
def test_any_part_of_a_configuration_will_do(wrap):
    (rule,) = envoy(wrap({"abort": ABORT})).rules
    assert (rule.match, rule.percentage, rule.abort) == (Match(), 100, DOWN)


def test_routes_of_a_control_plane_are_said_to_be_unknown():
    imported = envoy({**chain(("a", {"abort": ABORT})), "rds": {"route_config_name": "r"}})
    assert len(imported.rules) == 1
    assert said(imported) == [
        "f.yaml, line 1: rds: not carried over: overrides in routes that a control plane sends are not known"
    ]
