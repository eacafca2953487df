"""Another status, other headers, another body."""

from __future__ import annotations

import json

import pytest

from faultware.core.faults import ReplaceBody, ReplaceStatus, ResponseHeaders, Throttle
from faultware.core.shaping.build import shape
from faultware.core.shaping.effects import MAX_KEPT, Head
from faultware.core.shaping.rewriting import merged
from tests.core.shaping.kit import Adapter, Time, head_of, injections, play, rules

BODY = b'{"a":1,"b":{"c":2}}'
PIECES = [BODY[:7], BODY[7:]]
PATCH = ReplaceBody(merge_patch='{"a":null,"b":{"d":"ü"}}')


def _play(fault, head=None, pieces=PIECES, **extra):
    return play(injections([fault]), head or head_of(BODY, content_type="application/json"), pieces, **extra)


def test_another_status_keeps_headers_and_body_and_loses_the_reason():
    head = Head(200, (("Content-Length", "19"), ("x-a", "1")), "Fine")
    played = _play(ReplaceStatus(503), head)
    assert (played.head, played.body) == (Head(503, head.headers), BODY)


@pytest.mark.parametrize(("status", "length"), [(204, None), (205, 0), (304, None)])
def test_a_status_without_a_body_loses_it_and_what_frames_it(status, length):
    head = head_of(BODY, headers=[("Transfer-Encoding", "chunked"), ("etag", "1")])
    played = _play(ReplaceStatus(status), head)
    assert (played.body, played.head.status, played.head.length) == (b"", status, length)
    assert played.head.get("transfer-encoding") is None
    assert played.head.get("etag") == "1"


def test_another_status_promises_no_body_that_a_304_tells_the_length_of():
    head = head_of(BODY, status=304, headers=[("etag", "1")])
    for pieces in ([], [BODY]):
        played = _play(ReplaceStatus(200), head, pieces=pieces)
        assert (played.head.status, played.head.length, played.head.get("etag"), played.body) == (200, 0, "1", b"")
    played = _play(ReplaceStatus(304), head, pieces=[])
    assert (played.head.status, played.head.length) == (304, None)


def test_headers_are_removed_set_and_added_whatever_their_case():
    head = head_of(headers=[("X-A", "1"), ("x-b", "1"), ("Set-Cookie", "a=1"), ("etag", "1")])
    fault = ResponseHeaders(set={"x-a": "2"}, add=[("set-cookie", "b=2"), ("set-cookie", "c=3")], remove=["ETag"])
    assert _play(fault, head).head.headers == (
        ("content-type", "text/plain"),
        ("x-b", "1"),
        ("Set-Cookie", "a=1"),
        ("x-a", "2"),
        ("set-cookie", "b=2"),
        ("set-cookie", "c=3"),
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_heads_are_changed_where_there_is_no_body_too(method):
    played = play(rules([ReplaceStatus(503), ResponseHeaders(set={"x-a": "2"})]), head_of(BODY), [], method=method)
    assert (played.head.status, played.head.get("x-a"), played.head.length) == (503, "2", len(BODY))


def test_another_text_comes_at_once_with_its_length_and_what_the_application_sends_is_dropped():
    head = head_of(BODY, headers=[("content-encoding", "gzip")])
    played = _play(ReplaceBody("weg ü", content_type="text/x"), head)
    assert (played.body, played.kinds) == ("weg ü".encode(), ["Start", "Send"])
    assert played.head.headers == (("content-type", "text/x"), ("content-length", "6"))


def test_a_body_that_is_sent_in_chunks_gets_no_length():
    head = head_of(headers=[("transfer-encoding", "chunked")])
    for fault in (ReplaceBody("gone"), PATCH):
        assert _play(fault, head).head.length is None


def test_an_empty_text_is_no_body():
    played = _play(ReplaceBody(""))
    assert (played.body, played.head.length) == (b"", 0)


def test_a_text_whose_length_has_been_said_comes_also_after_a_release_and_nothing_of_the_application_s():
    faults = [Throttle(1000), ReplaceBody("gone" * 50), Throttle(100)]
    for after in range(9):
        played = play(rules(faults), head_of(BODY), PIECES, release_after=after)
        assert played.body == b"gone" * 50
        assert played.head.length == 200


def test_a_json_body_is_patched_and_its_length_with_it():
    played = _play(PATCH)
    assert json.loads(played.body) == {"b": {"c": 2, "d": "ü"}}
    assert played.head.length == len(played.body)
    assert played.head.get("content-type") == "application/json"
    assert _play(ReplaceBody(merge_patch="{}", content_type="a/b")).head.get("content-type") == "a/b"


def test_a_release_gives_the_application_s_json_or_the_patched_and_never_half_of_each():
    whole = play(injections([PATCH]), head_of(content_type="application/json"), PIECES)
    for after in range(12):
        faults = [Throttle(100), PATCH, Throttle(100)]
        played = play(rules(faults), head_of(content_type="application/json"), PIECES, release_after=after)
        assert played.body in (BODY, whole.body)
        assert played.head.length in (None, len(played.body))


@pytest.mark.parametrize(
    ("content_type", "is_patched"),
    [
        ("application/json; charset=utf-8", True),
        ("Application/Problem+JSON", True),
        ("text/plain", False),
        ("application/x-ndjson", False),
    ],
)
def test_only_json_is_patched(content_type, is_patched):
    played = _play(PATCH, head_of(content_type=content_type))
    assert (played.body != BODY) is is_patched


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a":NaN}', b"[1e999]", b"\xff", b'{"a":"\\ud800"}', b"[" * 100_000, b"9" * 5000],
    ids=lambda body: repr(body[:9]),
)
def test_what_is_no_json_or_could_not_be_sent_as_such_is_left_alone(body):
    head = head_of(body, content_type="application/json")
    fault = ReplaceBody(merge_patch='{"b":1}') if body != b"[1e999]" else ReplaceBody(merge_patch="{}")
    played = _play(fault, head, [body] if body else [])
    if body == b"[1e999]":  # an array is replaced as a whole, as RFC 7396 says
        assert played.body == b"{}"
    else:
        assert (played.head, played.body) == (head, body)


def test_a_compressed_body_is_left_alone():
    head = head_of(BODY, content_type="application/json", headers=[("content-encoding", "br")])
    played = _play(PATCH, head)
    assert (played.head, played.body, played.kinds) == (head, BODY, ["Start", "Send", "Send"])


def test_a_body_beyond_a_mebibyte_is_left_alone():
    pieces = [b'"' + b"x" * 700_000, b"y" * 700_000, b'z"']
    played = _play(PATCH, head_of(content_type="application/json"), pieces)
    assert played.body == b"".join(pieces)
    assert played.kinds == ["Start", "Send", "Send", "Send"]
    # If its length is announced, nothing is held up at all.
    announced = head_of(b"".join(pieces), content_type="application/json")
    time = Time()
    adapter = Adapter(shape(injections([PATCH]), "GET", 30, time), time)
    adapter.start(announced)
    assert adapter.played.head == announced
    assert sum(map(len, pieces)) > MAX_KEPT


# RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_do_what_the_rfc_lists(target, patch, result):
    assert merged(target, patch) == result
