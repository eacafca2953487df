"""From what was chosen to the stages, in their order."""

from __future__ import annotations

from faultware.core.faults import (
    FAULTS,
    Bytes,
    ContentLength,
    Corrupt,
    Delay,
    DelayResponse,
    Dribble,
    LimitData,
    MalformedChunk,
    ReplaceBody,
    ReplaceStatus,
    RequestHeaders,
    Response,
    ResponseHeaders,
    Slice,
    SlowClose,
    Stall,
    Throttle,
    Truncate,
    WebsocketClose,
)
from faultware.core.shaping.build import shape
from tests.core.shaping.kit import Time, head_of, injections, play, rules


def test_what_does_not_concern_the_response_is_passed_over():
    faults = [RequestHeaders(set={"x-a": "1"}), WebsocketClose(1011), Throttle(5, "request"), Delay(3)]
    assert shape(injections(faults), "GET", 30, Time()) is None
    assert shape([], "GET", 30, Time()) is None


def test_faults_of_one_rule_act_in_the_customary_order():
    faults = [Truncate(Bytes(2)), ReplaceBody("gone"), ReplaceStatus(503)]
    for some in (faults, faults[::-1]):
        played = play(injections(some), head_of(b"0123"), [b"0123"])
        assert (played.head.status, played.body, played.end) == (503, b"go", "fin")


def test_rules_act_in_theirs():
    faults = [Truncate(Bytes(2)), ReplaceBody("gone")]
    played = play(rules(faults), head_of(b"0123"), [b"0123"])
    assert (played.body, played.end) == (b"gone", "fin")
    headers = [ResponseHeaders(set={"x-a": "1"}), ResponseHeaders(set={"x-a": "2"})]
    assert play(rules(headers), head_of(), []).head.get("x-a") == "2"


def test_there_is_a_stage_for_every_fault_of_a_response():
    faults = [
        DelayResponse(1),
        ReplaceStatus(204),
        ResponseHeaders(remove=["etag"]),
        ReplaceBody("gone"),
        Corrupt(5),
        Slice(5),
        Throttle(5),
        Dribble(1),
        Stall(Bytes(5)),
        Truncate(Bytes(5)),
        LimitData(5),
        SlowClose(1),
        ContentLength(5),
        MalformedChunk(),
    ]
    assert [type(fault) for fault in faults] == [fault for fault in FAULTS if fault in Response.__args__]
    for fault in faults:
        assert shape(injections([fault]), "GET", 30, Time()) is not None


def test_a_piece_without_bytes_is_none():
    time = Time()
    chain = shape(injections([Throttle(5)]), "GET", 30, time)
    list(chain.start(head_of()))
    assert list(chain.feed(b"")) == []
