"""Toxiproxy's files as rules."""

from __future__ import annotations

import json

import pytest

from faultware import Abort, Delay, Hang, Match, Uniform
from faultware.core.faults import Close, DelayResponse, LimitData, Reset, Slice, SlowClose, Throttle
from faultware.interop.load import import_text, recognise
from faultware.interop.tree import read_tree
from tests.interop.kit import said, toxics

AT = "f.json, line 1: [0].toxics[0]"
HELD = f"{AT}: the response is held as a whole, not each of its pieces"
SOCKET = f"{AT}: answered with 502 under a server that keeps its sockets to itself"


@pytest.mark.parametrize(
    ("toxic", "faults", "remarks"),
    [
        (
            {"type": "latency", "attributes": {"latency": 500, "jitter": 100}},
            {"delay_response": DelayResponse(Uniform(0.4, 0.6))},
            [HELD],
        ),
        (
            {"type": "latency", "stream": "Upstream", "attributes": {"latency": 2000}},
            {"delay": Delay(2)},
            [f"{AT}: the request is held as a whole, not each of its pieces"],
        ),
        (
            {"type": "latency", "attributes": {"latency": 10, "jitter": 30}},
            {"delay_response": DelayResponse(Uniform(0, 0.04))},
            [f"{AT}.attributes.jitter: what falls below 0 is 0 in Toxiproxy; here it is drawn evenly from 0 on", HELD],
        ),
        ({"type": "latency"}, {}, [f"{AT}: without latency it does nothing"]),
        ({"type": "bandwidth", "attributes": {"rate": 10}}, {"throttle": Throttle(10_000)}, []),
        (
            {"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 10}},
            {"throttle": Throttle(10_000, "request")},
            [],
        ),
        (
            {"type": "bandwidth"},
            {},
            [f"{AT}: not carried over: a rate of 0 stalls for ever; hang does that to a whole request"],
        ),
        (
            {"type": "timeout", "stream": "upstream", "attributes": {"timeout": 1000}},
            {"delay": Delay(1), "close": Close(), "fallback": Abort(502)},
            [SOCKET],
        ),
        (
            {"type": "timeout", "attributes": {"timeout": 1000}},
            {"delay": Delay(1), "close": Close(), "fallback": Abort(502)},
            [f"{AT}: the handler does not run; behind Toxiproxy it does, and its response is lost", SOCKET],
        ),
        (
            {"type": "timeout", "stream": "upstream"},
            {"hang": Hang()},
            [f"{AT}: held no longer than FAULTWARE_MAX_DELAY, and then answered with 504"],
        ),
        (
            {"type": "reset_peer"},
            {"reset": Reset(), "fallback": Abort(502)},
            [f"{AT}: the connection to the client is reset; there is none to a server behind", SOCKET],
        ),
        (
            {"type": "reset_peer", "attributes": {"timeout": 20}},
            {"delay": Delay(0.02), "reset": Reset(), "fallback": Abort(502)},
            [f"{AT}: the connection to the client is reset; there is none to a server behind", SOCKET],
        ),
        (
            {"type": "slicer", "attributes": {"average_size": 100, "size_variation": 20, "delay": 1500}},
            {"slice_": Slice(100, 20, 0.0015)},
            [],
        ),
        (
            {"type": "slicer", "attributes": {"average_size": 10, "size_variation": 20}},
            {"slice_": Slice(10, 9)},
            [f"{AT}.attributes.size_variation: cut to 9: no piece is empty"],
        ),
        ({"type": "slicer"}, {}, [f"{AT}: not carried over: pieces of 0 bytes end Toxiproxy itself"]),
        (
            {"type": "limit_data", "attributes": {"bytes": 100}},
            {"limit_data": LimitData(100), "fallback": Abort(502)},
            [SOCKET],
        ),
        ({"type": "slow_close", "attributes": {"delay": 30}}, {"slow_close": SlowClose(0.03)}, []),
        ({"type": "slow_close"}, {}, [f"{AT}: without delay it does nothing"]),
        (
            {"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 1}},
            {},
            [f"{AT}: not carried over: limit_data of a request's body has no meaning for the handler that reads it"],
        ),
        ({"type": "noop"}, {}, [f"{AT}: a noop does nothing"]),
        (
            {"type": "packet_loss", "attributes": {"loss_rate": 0.5}},
            {},
            [f"{AT}: not carried over: HTTP cannot lose pieces of a stream; corrupt or truncate may do"],
        ),
    ],
)
def test_a_toxic_becomes_the_fault_that_is_like_it(toxic, faults, remarks):
    imported = toxics(toxic)
    assert said(imported) == remarks
    assert len(imported.rules) == bool(faults)
    for rule in imported.rules:
        assert (rule.match, rule.percentage) == (Match(), 100)
        given = {name: getattr(rule, name) for name in (*faults, "fallback")}
        assert given == {"fallback": None, **faults}


@pytest.mark.parametrize(
    ("toxicity", "percentage", "remark"),
    [
        (0.3, 30, ""),
        (1, 100, ""),
        (0.00005, 0.005, ""),
        (5, 100, "a toxicity of 5 is always"),
        (-1, None, "a toxicity of -1 is never"),
        (0, None, "its toxicity is 0, so it never acts"),
    ],
)
def test_toxicity_is_a_share_of_requests(toxicity, percentage, remark):
    imported = toxics({"type": "bandwidth", "toxicity": toxicity, "attributes": {"rate": 1}})
    assert [rule.percentage for rule in imported.rules] == ([] if percentage is None else [percentage])
    assert bool(remark) is bool(said(imported))
    assert remark in "".join(said(imported))


def test_rules_are_called_by_proxy_and_toxic_and_every_toxic_rolls_for_itself():
    one, two = (
        {"type": "bandwidth", "attributes": {"rate": 1}},
        {"name": "Slow DB!", "type": "latency", "attributes": {"latency": 1}},
    )
    assert [rule.name for rule in toxics(one, two).rules] == ["db-bandwidth_downstream", "db-slow-db"]


def test_a_proxy_that_is_off_keeps_its_toxics_to_itself():
    imported = toxics({"type": "latency", "attributes": {"latency": 1}}, enabled=False)
    assert imported.rules == ()
    assert said(imported) == [
        (
            "f.json, line 1: [0].enabled: not carried over: a proxy that is switched off refuses connections; this "
            "service goes on, and its toxics are left out"
        )
    ]


def test_unknown_fields_are_reported_and_noise_is_not():
    imported = toxics({"type": "noop", "colour": 1}, Logger={}, Weight=3)
    assert [remark.what for remark in imported.losses] == ["[0].Weight", "[0].toxics[0].colour"]


def test_of_a_proxy_that_stands_twice_the_last_one_counts():
    proxy = {"name": "a", "upstream": "b:1"}
    first = {**proxy, "toxics": [{"type": "bandwidth", "attributes": {"rate": 1}}]}
    second = {**proxy, "toxics": [{"type": "bandwidth", "attributes": {"rate": 2}}]}
    imported = import_text(json.dumps([first, second]), "f.json", is_json=True)
    assert [rule.throttle.bytes_per_second for rule in imported.rules] == [2000]
    assert said(imported) == ["f.json, line 1: [1].name: a stands here a second time; Toxiproxy takes the last"]


PROXY = {"name": "a", "listen": "x:1", "upstream": "b:1", "enabled": None, "toxics": None}


@pytest.mark.parametrize(
    "document", [[PROXY], {"a": PROXY}, {"proxies": [PROXY]}, PROXY, [{"Name": "a", "UPSTREAM": "b:1"}]]
)
def test_files_dumps_and_single_proxies_are_recognised(document):
    tree = read_tree(json.dumps(document), "f.json", is_json=True)
    assert recognise(tree) == "toxiproxy"
    assert import_text(json.dumps(document), "f.json", is_json=True).rules == ()


def test_a_byte_order_mark_and_what_stands_behind_the_end_do_no_harm():
    imported = import_text("\ufeff" + json.dumps([PROXY]) + "\n\nmore", "f.json", is_json=True, origin="toxiproxy")
    assert said(imported) == ["f.json, line 3: what stands behind the document is overlooked, as Toxiproxy does"]


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"rules": []}', '[{"percentage": 10, "abort": 503}]', "7", '{"enabled": true}']
)
def test_what_is_ours_is_not_taken_for_somebody_elses(text):
    assert recognise(read_tree(text, "f.json", is_json=True)) is None
    assert import_text(text, "f.yaml") is None
