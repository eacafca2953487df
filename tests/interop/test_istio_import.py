"""Istio's VirtualServices as rules."""

from __future__ import annotations

import pytest

from faultware import Abort, Delay, Match, Rule, TextMatch
from faultware.core.request import Request
from faultware.errors import RuleError
from faultware.interop.istiomatch import Caller
from faultware.interop.load import import_text
from tests.interop.kit import istio, said, service

DOWN = Abort(503, body="fault filter abort", content_type="text/plain")
FAULT = "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}"
NOTE = "f.yaml, line 4: spec.hosts: every request this service receives counts as one for shop"


def rules_for(match):
    return istio(f"{{{FAULT}, match: [{match}]}}").rules


def test_of_the_routes_the_first_that_matches_takes_part():
    imported = istio(
        "{match: [{uri: {prefix: /free}}], route: []}",
        "{name: Buy, match: [{uri: {exact: /buy}}, {headers: {x-a: {exact: b}}}], "
        "fault: {delay: {fixedDelay: 5s, percentage: {value: 30}}, abort: {httpStatus: 503, percentage: {value: 20}}}}",
        "{match: [{uri: {exact: /last}}]}",
    )
    spared, first, second = imported.rules
    assert (spared.faults, spared.group, spared.match) == ((), "shop", Match(raw_path=TextMatch(prefix="/free")))
    assert first == Rule(
        "buy", Match(raw_path="/buy"), percentage=100, delay=Delay(5, percentage=30), group="shop",
        abort=Abort(503, body="fault filter abort", content_type="text/plain", percentage=20),
    )  # fmt: skip
    assert (second.name, second.match) == ("buy-2", Match(headers={"x-a": "b"}))
    assert said(imported) == [NOTE]


def test_what_follows_a_route_that_takes_everything_is_never_reached_and_that_is_said():
    imported = istio(f"{{{FAULT}}}", "{fault: {delay: {fixedDelay: 5s, percentage: {value: 30}}}}")
    (rule,) = imported.rules
    assert rule == Rule(percentage=100, abort=DOWN)
    assert said(imported)[1:] == [
        "f.yaml, line 7: spec.http[1].fault: never reached: the route in line 6 takes every request"
    ]
    assert not imported.losses


@pytest.mark.parametrize("match", ["{uri: {prefix: /}}", '{uri: {prefix: ""}}', "{}"])
def test_a_match_that_every_request_meets_takes_everything(match):
    imported = istio(f"{{{FAULT}, match: [{match}]}}", f"{{{FAULT}}}")
    assert len(imported.rules) == 1
    assert "never reached" in said(imported)[1]


@pytest.mark.parametrize(
    ("value", "millionths"), [("20", 200_000), ("0.57", 5699), ("0.0003", 2), ("0.0001", 1), ("100", 10**6), ("0", 0)]
)
def test_a_percentage_is_cut_as_istio_cuts_it(value, millionths):
    imported = istio(f"{{fault: {{abort: {{httpStatus: 503, percentage: {{value: {value}}}}}}}}}")
    assert [rule.percentage for rule in imported.rules] == ([millionths / 10_000] if millionths else [])


@pytest.mark.parametrize(("value", "is_said"), [("0.1", True), ("0.01", True), ("1", False), ("0", False)])
def test_what_may_be_meant_as_a_share_of_one_is_said_to_be_percent(value, is_said):
    imported = istio(f"{{fault: {{abort: {{httpStatus: 503, percentage: {{value: {value}}}}}}}}}")
    found = [remark for remark in said(imported) if "here as in Istio" in remark]
    place = "f.yaml, line 6: spec.http[0].fault.abort.percentage.value"
    share = f"{value} is {value} %, here as in Istio, and not {100 * float(value):g} %"
    assert found == ([f"{place}: {share}"] if is_said else [])
    assert not imported.losses


@pytest.mark.parametrize(
    ("fault", "remark"),
    [
        ("{abort: {httpStatus: 503}}", "abort: without percentage it never acts"),
        ("{abort: {percentage: {value: 5}}}", "abort: without a status nothing is injected"),
        ("{delay: {fixedDelay: 5s, percentage: {}}}", "delay: its percentage is 0, so it never acts"),
    ],
)
def test_what_never_acts_becomes_no_rule_and_is_said(fault, remark):
    imported = istio(f"{{fault: {fault}}}")
    assert imported.rules == ()
    assert said(imported) == [NOTE, f"f.yaml, line 6: spec.http[0].fault.{remark}"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5), ("100ms", 0.1), ("1m", 60), ("1h30m", 5400), ("1.5s", 1.5), ("2000us", 0.002)]
)
def test_durations_are_gos(text, seconds):
    (rule,) = istio(f"{{fault: {{delay: {{fixedDelay: {text}, percentage: {{value: 1}}}}}}}}").rules
    assert rule.delay == Delay(seconds)


def test_the_old_percentage_of_a_delay_is_used_where_there_is_no_other():
    (rule,) = istio("{fault: {delay: {fixedDelay: 5s, percent: 7}}}").rules
    assert rule.percentage == 7
    (rule,) = istio("{fault: {delay: {fixedDelay: 5s, percent: 7, percentage: {value: 8}}}}").rules
    assert rule.percentage == 8


def test_a_grpc_status_has_a_name():
    (rule,) = istio("{fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}}").rules
    assert (rule.abort.grpc_status, rule.abort.status) == (14, 200)


@pytest.mark.parametrize(
    ("match", "hits", "misses"),
    [
        ("{uri: {exact: /api}}", ["/api", "/api?x=1"], ["/api/", "/apix", "/%61pi", "/API"]),
        ("{uri: {prefix: /api}}", ["/api", "/apix", "/api/v1?q"], ["/ap", "/API"]),
        ("{uri: {regex: '/a.i'}}", ["/api", "/a1i?x=/b"], ["/api/", "/apix"]),
        ("{uri: {exact: /API}, ignoreUriCase: true}", ["/api", "/aPi?x"], ["/apis"]),
        ("{uri: {prefix: /API}, ignoreUriCase: true}", ["/apis"], ["/ap"]),
        ("{uri: {regex: /API}, ignoreUriCase: true}", ["/API"], ["/api"]),
        ("{queryParams: {q: {exact: '1'}}}", ["/?q=1", "/?q=1&q=2"], ["/", "/?q=2&q=1", "/?Q=1", "/?q=%31"]),
        ("{queryParams: {q: {exact: ''}}}", ["/?q", "/?q="], ["/", "/?q=1"]),
        ("{queryParams: {q: {}}}", ["/?q", "/?q=1"], ["/", "/?x=q"]),
        ("{queryParams: {q: {prefix: a}}}", ["/?q=ab"], ["/?q=b", "/"]),
    ],
)
def test_paths_and_queries_are_compared_as_they_were_sent(match, hits, misses):
    (rule,) = rules_for(match)
    for target in hits + misses:
        path, _, query = target.partition("?")
        request = Request(path="/decoded", raw_path=path, query_string=query)
        assert rule.match.accepts(request) is (target in hits), target


@pytest.mark.parametrize(
    ("match", "hits", "misses"),
    [
        ("{headers: {x-a: {exact: b}}}", [["b"], ["c", "b"]], [[], ["c"], ["B"], ["b,c"]]),
        ("{headers: {X-A: {}}}", [["b"], [""]], [[]]),
        ("{headers: {x-a: {regex: '*'}}}", [["b"]], [[]]),
        ("{withoutHeaders: {x-a: {exact: b}}}", [[], ["c"], ["B"]], [["b"], ["c", "b"]]),
        ("{withoutHeaders: {x-a: {exact: ''}}}", [["c"]], [[], [""]]),
        ("{withoutHeaders: {x-a: {}}}", [[]], [["b"], [""]]),
        ("{withoutHeaders: {x-a: {regex: '*'}}}", [[]], [["b"]]),
        ("{headers: {x-a: {}}, withoutHeaders: {x-a: {exact: b}}}", [["c"]], [[], ["b"]]),
    ],
)
def test_headers_are_wanted_and_unwanted(match, hits, misses):
    (rule,) = rules_for(match)
    for lines in hits + misses:
        request = Request(headers=[("x-a", line) for line in lines])
        assert rule.match.accepts(request) is (lines in hits), lines


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("{method: {exact: GET}}", Match(methods=["GET"])),
        ("{method: {regex: 'GET|POST'}}", Match(methods=["GET", "POST"])),
        ("{method: {prefix: P}}", Match(headers={":method": TextMatch(prefix="P")})),
        ("{scheme: {exact: https}}", Match(headers={":scheme": "https"})),
        ("{authority: {exact: 'shop:80'}}", Match(headers={"host": "shop:80"})),
        ("{headers: {uri: {exact: x}, method: {exact: x}}}", Match()),
        ("{name: x, statPrefix: y, uri: {exact: /a}}", Match(raw_path="/a")),
    ],
)
def test_a_request_line_is_compared_as_it_is(match, expected):
    assert rules_for(match)[0].match == expected


@pytest.mark.parametrize(
    ("match", "caller", "faulted"),
    [
        ("{sourceLabels: {app: web}}", Caller(), None),
        ("{sourceLabels: {app: web}}", Caller({"app": "web", "v": "1"}), True),
        ("{sourceLabels: {app: web}}", Caller({"app": "job"}), False),
        ("{sourceNamespace: a}", Caller(), None),
        ("{sourceNamespace: a}", Caller(namespace="a"), True),
        ("{sourceNamespace: a}", Caller(namespace="b"), False),
        ("{gateways: [mesh]}", Caller(), True),
        ("{gateways: [in]}", Caller(), False),
        ("{gateways: [in], sourceLabels: {app: web}}", Caller(gateways=frozenset({"in"})), True),
        ("{port: 80}", Caller(), None),
        ("{headers: {'@request.auth.claims.sub': {exact: a}}}", Caller(), None),
    ],
)
def test_who_calls_is_told_or_else_what_the_rest_matches_is_spared(match, caller, faulted):
    both = match.removesuffix("}") + ", uri: {prefix: /a}}"
    rest = FAULT.replace("503", "500")
    gateways = f"[{', '.join(caller.gateways)}]"
    imported = istio(f"{{{FAULT}, match: [{both}]}}", f"{{{rest}}}", caller=caller, gateways=gateways)
    kinds = [(rule.abort.status if rule.abort else None) for rule in imported.rules]
    assert kinds == {None: [None, 500], True: [503, 500], False: [500]}[faulted]
    assert bool(imported.losses) is (faulted is None)


def test_routes_at_another_gateway_are_left_out_unless_requests_come_through_it():
    imported = istio(f"{{{FAULT}}}", gateways="[public]")
    assert imported.rules == ()
    assert said(imported) == [
        (
            "f.yaml, line 4: spec.gateways: not carried over: these routes act at public only; say so if requests come "
            "through there"
        )
    ]
    assert len(istio(f"{{{FAULT}}}", gateways="[public]", caller=Caller(gateways=frozenset({"public"}))).rules) == 1
    assert len(istio(f"{{{FAULT}}}", gateways="[public, mesh]").rules) == 1


def test_the_routes_of_another_document_are_spared():
    imported = istio("{match: [{uri: {prefix: /a}}], delegate: {name: x}}", f"{{{FAULT}}}")
    assert [len(rule.faults) for rule in imported.rules] == [0, 1]
    assert "the routes of another document are not known; these requests are spared" in said(imported)[1]


def test_a_service_without_hosts_is_for_what_another_delegates_to_it():
    root = service("{match: [{uri: {prefix: /a}}], delegate: {name: x}}", f"{{{FAULT}}}")
    delegate = service(f"{{{FAULT}}}", name="x").replace("hosts: [shop],", "")
    imported = import_text(f"{root}---\n{delegate}", "f.yaml")
    assert imported.rules == import_text(root, "f.yaml").rules
    reason = "it has no hosts: it is for what another VirtualService delegates to it, which is not known here"
    assert f"f.yaml, line 10: not carried over: {reason}" in said(imported)
    assert import_text(delegate, "f.yaml").rules == ()


def test_a_rewritten_path_is_said():
    imported = istio(f"{{{FAULT}, rewrite: {{uri: /b}}, match: [{{uri: {{prefix: /a}}}}]}}")
    assert "conditions see the path the service receives, which is the rewritten one" in said(imported)[1]


def test_several_services_are_told_apart_by_the_host():
    text = (
        service(f"{{{FAULT}}}", hosts="[pay]", name="pay")
        + "---\n"
        + service(f"{{{FAULT}}}", hosts="[shop.ns.svc.cluster.local, '*.shop.test']", name="shop")
    )
    rules = import_text(text, "f.yaml").rules
    assert [rule.group for rule in rules] == ["virtual-services"] * 3
    hits = [
        ["shop", "shop.ns", "shop.ns.svc:80", "shop.ns.svc.cluster.local"],
        ["pay", "PAY:80", "pay.ns", "pay.ns.svc.cluster.local:8080"],
        ["a.shop.test", "b.a.shop.test:80"],
    ]
    every = [host for hosts in hits for host in hosts] + ["paypal", "shop.other", "shop.test", ""]
    for rule, hosts in zip(rules, hits, strict=True):
        assert [host for host in every if rule.match.accepts(Request(headers=[("Host", host)]))] == hosts


def first_hit(rules, host, path="/"):
    """The status a request gets, of rules in one group."""
    request = Request(path=path, headers=[("host", host)])
    rule = next((rule for rule in rules if rule.match.accepts(request)), None)
    return rule.abort.status if rule is not None and rule.faults else 0


def test_of_several_hosts_the_most_specific_one_decides_alone():
    other = FAULT.replace("503", "500")
    third = FAULT.replace("503", "501")
    text = "---\n".join(
        (
            service(f"{{{FAULT}}}", hosts="['*']", name="all"),
            service(
                f"{{{other}, match: [{{uri: {{exact: /a}}}}]}}", hosts="['*.shop.test', pay.shop.test]", name="wide"
            ),
            service(f"{{{third}}}", hosts="['*.eu.shop.test', pay]", name="narrow"),
        )
    )
    rules = import_text(text, "f.yaml").rules
    assert {rule.group for rule in rules} == {"virtual-services"}
    for host, path, status in (
        ("else", "/", 503),
        ("b.shop.test", "/a", 500),
        ("b.shop.test", "/b", 0),
        ("b.eu.shop.test", "/a", 501),
        ("pay.shop.test", "/a", 500),
        ("pay.shop.test", "/b", 0),
        ("pay.ns", "/", 501),
    ):
        assert first_hit(rules, host, path) == status, (host, path)


def test_of_several_services_for_one_host_the_first_acts_alone():
    text = service(f"{{{FAULT}}}", name="a") + "---\n" + service(f"{{{FAULT}}}", hosts="[shop, Shop]", name="b")
    imported = import_text(text, "f.yaml")
    assert len(imported.rules) == 1
    reason = "not carried over: of several VirtualServices for {} one acts: here the first, in line 1"
    lost = f"f.yaml, line 12: spec.hosts[{{}}]: {reason}"
    assert said(imported) == [lost.format(0, "shop"), lost.format(1, "Shop"), NOTE]


def test_other_documents_are_passed_over_and_lists_are_unfolded():
    others = "apiVersion: v1\nkind: Service\n---\nkind: EnvoyFilter\napiVersion: networking.istio.io/v1\n---\n"
    imported = import_text(others + service(f"{{{FAULT}}}"), "f.yaml")
    assert len(imported.rules) == 1
    assert said(imported)[:2] == [
        "f.yaml, line 1: kind Service has no faults",
        "f.yaml, line 4: not carried over: an EnvoyFilter patches Envoy: import the fault filter in it as Envoy's",
    ]
    inner = service(f"{{{FAULT}}}").replace("\n", "\n  ")
    assert len(import_text(f"apiVersion: v1\nkind: List\nitems:\n- {inner}", "f.yaml").rules) == 1


def test_a_file_without_routes_for_http_has_no_rules():
    assert istio().rules == ()
    with pytest.raises(RuleError, match="there is no VirtualService here"):
        import_text("apiVersion: v1\nkind: Service\n", "f.yaml")
