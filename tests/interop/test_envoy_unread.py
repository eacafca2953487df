"""Fault filters in an Envoy document that never act, or stand where nothing is read: each is checked, and told."""

from __future__ import annotations

import pytest

from faultware.errors import RuleError
from tests.interop.families import ABORT, fault, override
from tests.interop.kit import chain, envoy, said
from tests.interop.mesh import FAULT, MANAGER, bootstrap
from tests.interop.routes import ANY, FILTER_CONFIG, OTHER, host, route, table

MAYBE = {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 50}}}
LATE = route({"prefix": "/a"}, override(abort=OTHER))
MINE = {"mine": {"@type": FAULT, "abort": ABORT}}
OFF = {"b": {"@type": FILTER_CONFIG, "disabled": True, "config": fault(abort=ABORT)["typed_config"]}}
ROUTES = "route_config.virtual_hosts[0].routes"
OVERRIDE = 'typed_per_filter_config."envoy.filters.http.fault"'


@pytest.mark.parametrize(
    ("document", "faults", "place", "reason"),
    [
        (
            table(host(route(ANY), LATE), chain=fault(abort=ABORT)),
            1,
            f"{ROUTES}[1].{OVERRIDE}",
            "never reached: the route in line 1 takes every request",
        ),
        (
            table(host(route(MAYBE), LATE)),
            0,
            f"{ROUTES}[1].{OVERRIDE}",
            "not carried over: the route in line 1 may take every request, so what stands behind it is left out",
        ),
        (
            table(host(route({**MAYBE, "prefix": "/b"}), LATE)),
            1,
            f"{ROUTES}[0].match.runtime_fraction",
            "not carried over: runtime_fraction is not known in process; these requests are spared what stands behind",
        ),
        (
            table(host(route(ANY), route({"prefix": "/a"}, MINE)), chain=fault("b")),
            0,
            f"{ROUTES}[1].typed_per_filter_config.mine",
            "never reached: the route in line 1 takes every request",
        ),
        (
            table(host(route({"path": "/a"}, MINE)), chain=fault("b", abort=ABORT)),
            1,
            f"{ROUTES}[0].typed_per_filter_config.mine",
            "never acts: no filter of the chain is called mine",
        ),
        (
            table(host(route(ANY, OFF)), chain=fault("b", abort=ABORT)),
            0,
            f"{ROUTES}[0].typed_per_filter_config.b.config",
            "never acts: it is switched off here",
        ),
        (
            {"http_filters": [{"name": "a", "typed_config": {"@type": "b", "c": fault("d")}}, fault(abort=ABORT)]},
            1,
            "http_filters[0].typed_config.c.typed_config",
            "not carried over: only the fault filters of a chain and of its routes are read",
        ),
        (
            {"http_filters": [{"name": "a", "config_discovery": {"type_urls": [FAULT]}}, fault(abort=ABORT)]},
            1,
            "http_filters[0].config_discovery",
            "not carried over: a filter that a control plane sends is not known",
        ),
    ],
)
def test_what_is_not_read_is_said_with_its_place(document, faults, place, reason):
    imported = envoy(document)
    assert len([rule for rule in imported.rules if rule.faults]) == faults
    assert said(imported) == [f"f.yaml, line 1: {place}: {reason}"]


@pytest.mark.parametrize(
    "document",
    [
        table(host(route(ANY), route({"prefix": "/a"}, override(abort={"http_status": 1})))),
        table(host(route(ANY, {"mine": {"@type": FAULT, "abort": {"http_status": 1}}})), chain=fault("b")),
        {
            "http_filters": [
                {"name": "a", "typed_config": {"@type": "x", "b": fault(abort={"http_status": 1})}},
                fault(),
            ]
        },
    ],
)
def test_what_is_not_read_is_checked_nevertheless(document):
    with pytest.raises(RuleError, match=r"abort\.http_status: 1 is not possible"):
        envoy(document)


def test_a_filter_without_a_configuration_is_refused_as_by_envoy():
    with pytest.raises(RuleError) as caught:
        envoy({"http_filters": [{"name": "envoy.filters.http.fault"}]})
    assert str(caught.value) == f"f.yaml, line 1: http_filters[0]: typed_config is missing ('@type': {FAULT})"


def listener(*managers):
    entries = [{"filters": [{"name": "http", "typed_config": {"@type": MANAGER, **one}}]} for one in managers]
    return {"name": "in", "filter_chains": entries}


def test_filter_chains_of_one_listener_must_agree():
    one, other = chain(("a", {"abort": ABORT})), chain(("a", {"abort": OTHER}))
    assert [rule.name for rule in envoy(listener(one, one)).rules] == ["a"]
    for second in (other, chain()):
        with pytest.raises(RuleError) as caught:
            envoy(listener(one, second))
        assert str(caught.value) == (
            "f.yaml, line 1: the filter chains of this listener have different faults "
            "(import the http_filters of the one in front of this service by itself)"
        )


def test_the_only_listener_with_faults_is_said_to_be_the_one_in_front():
    document = bootstrap({"in": chain(("a", {"abort": ABORT})), "x": chain()}, 1)
    reason = "in, the only listener with faults, counts as the one in front of this service"
    assert said(envoy(document)) == [f"f.yaml, line 1: static_resources.listeners[0]: {reason}"]
    assert said(envoy(document, listener="in")) == []


def test_what_stands_in_another_listener_is_not_told():
    document = bootstrap({"in": chain(("a", {"abort": ABORT})), "x": chain(("b", {"abort": OTHER}))}, 1)
    assert said(envoy(document, listener="in")) == []
    with pytest.raises(RuleError, match=r"there is no listener 'y' \(one of in, x\)$"):
        envoy(document, listener="y")


def test_filters_with_one_name_have_groups_of_their_own():
    routes = table(host(route({"path": "/a"}, override(abort=OTHER)), route(ANY)), chain=fault(abort=ABORT))
    routes["http_filters"].append(fault(delay={"fixed_delay": "1s", "percentage": {"numerator": 100}}))
    imported = envoy(routes)
    assert [(rule.group, [one.kind for one in rule.faults]) for rule in imported.rules] == [
        ("r", ["abort"]),
        ("r", ["abort"]),
        ("r-2", ["abort"]),
        ("r-2", ["delay"]),
    ]
