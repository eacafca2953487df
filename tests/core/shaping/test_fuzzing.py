"""All stages against the slow reference: any faults in any order, any response, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.shaping.kit import dechunked, play, rules
from tests.core.shaping.made import CORRUPTING, DRAWS, EVERY, METHODS, MOST, TRANSPARENT, cuts_of, responses
from tests.core.shaping.reference import corrupted, expect

pytestmark = pytest.mark.usefixtures("small_bounds")
# The fixture sets bounds once and for all; no example changes them.
fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
some = st.lists(st.one_of(*EVERY), min_size=1, max_size=5)


@fuzzed
@given(data=st.data(), faults=some, response=responses(), method=METHODS, draw=DRAWS)
def test_what_comes_out_is_what_the_reference_says(data, faults, response, method, draw):
    head, body = response
    wanted = expect(faults, head, body, method=method, draw=draw, most=MOST)
    pieces = data.draw(cuts_of(body)) if method != "HEAD" else []
    played = play(rules(faults, draw), head, pieces, method=method)
    assert played.end == wanted.end
    if wanted.raw is None:
        assert played.head is not None
        assert sorted(played.head.headers) == sorted(wanted.head.headers)
        assert (played.head.status, played.body) == (wanted.head.status, wanted.body)
    else:
        _check_raw(played.raw, wanted)
    assert played.seconds <= wanted.seconds + 1e-6


def _check_raw(raw, wanted):
    name, value = wanted.raw
    lines, _, rest = raw.partition(b"\r\n\r\n")
    status_line, *headers = lines.decode("latin-1").split("\r\n")
    assert status_line.startswith(f"HTTP/1.1 {wanted.head.status} ")
    framing = ("connection", "content-length", "keep-alive", "transfer-encoding", "upgrade")
    kept = [f"{key}: {text}" for key, text in wanted.head.headers if key.lower() not in framing]
    assert headers == [*kept, f"{name}: {value}", "connection: close"]
    assert (dechunked(raw) if value == "chunked" else rest) == (
        (wanted.body, b"zz\r\n") if value == "chunked" else wanted.body
    )


@fuzzed
@given(data=st.data(), fault=st.one_of(*EVERY), response=responses(), method=METHODS, draw=DRAWS)
def test_one_fault_takes_just_its_time_however_the_body_comes(data, fault, response, method, draw):
    head, body = response
    wanted = expect([fault], head, body, method=method, draw=draw, most=MOST)
    for pieces in ([body] if body else [], data.draw(cuts_of(body)), [bytes([byte]) for byte in body]):
        played = play(rules([fault], draw), head, pieces if method != "HEAD" else [], method=method)
        assert played.seconds == pytest.approx(wanted.seconds, abs=1e-6)


def _pieces(data, head, body, method):
    """What an application sends: nothing for HEAD and where there is no body."""
    return [] if method == "HEAD" or head.status in (204, 205, 304) else data.draw(cuts_of(body))


@fuzzed
@given(
    data=st.data(),
    faults=st.lists(st.one_of(*TRANSPARENT), min_size=1, max_size=5),
    response=responses(),
    method=METHODS,
    after=st.integers(0, 40),
)
def test_a_release_loses_nothing_and_doubles_nothing(data, faults, response, method, after):
    head, body = response
    pieces = _pieces(data, head, body, method)
    whole = play(rules(faults), head, pieces, method=method)
    played = play(rules(faults), head, pieces, method=method, release_after=after)
    if after < len(whole.kinds):  # else all was over
        assert played.head == head
        assert played.body == b"".join(pieces)
        assert played.end is None
    else:
        assert (played.body, played.end) == (whole.body, whole.end)


@fuzzed
@given(
    data=st.data(),
    faults=st.lists(st.one_of(*EVERY), min_size=1, max_size=5),
    response=responses(),
    method=METHODS,
    after=st.integers(0, 40),
    undoes_cuts=st.booleans(),
)
def test_a_response_that_is_released_is_a_legal_one(data, faults, response, method, after, undoes_cuts):
    head, body = response
    pieces = _pieces(data, head, body, method)
    played = play(rules(faults), head, pieces, method=method, release_after=after, undoes_cuts=undoes_cuts)
    if played.raw:
        assert played.end is not None
    elif played.end is None:
        assert played.head is not None
        if method == "HEAD" or played.head.status in (204, 304):
            assert played.body == b""
        elif played.head.length is not None and (pieces or played.body):
            assert played.head.length == len(played.body)


@fuzzed
@given(
    data=st.data(),
    corrupt=CORRUPTING[0],
    others=st.lists(st.one_of(*TRANSPARENT), max_size=3),
    response=responses(),
    after=st.integers(0, 40),
)
def test_after_a_release_bytes_are_either_the_application_s_or_the_corrupted_ones(
    data, corrupt, others, response, after
):
    head, body = response
    place = data.draw(st.integers(0, len(others)))
    pieces = _pieces(data, head, body, "GET")
    body = b"".join(pieces)
    played = play(rules([*others[:place], corrupt, *others[place:]]), head, pieces, release_after=after)
    changed = corrupted(corrupt.share, corrupt.unit, 0.25, body)
    allowed = list(zip(body, changed, strict=True))
    assert all(byte in both for byte, both in zip(played.body, allowed, strict=False))
    if played.end is None:
        assert len(played.body) == len(body)


@fuzzed
@given(data=st.data(), faults=some, response=responses(), gaps=st.lists(st.sampled_from((0.0, 0.05, 3.0)), max_size=9))
def test_an_idle_application_changes_nothing_but_the_time(data, faults, response, gaps):
    head, body = response
    pieces = data.draw(cuts_of(body))
    at_once, idle = play(rules(faults), head, pieces), play(rules(faults), head, pieces, gaps=gaps)
    assert (idle.head, idle.body, idle.end) == (at_once.head, at_once.body, at_once.end)
    assert _unframed(idle.raw) == _unframed(at_once.raw)


def _unframed(raw):
    """A head, and what it frames: how much of it one chunk holds is a matter of time."""
    lines = raw.partition(b"\r\n\r\n")[0]
    return (lines, dechunked(raw)) if b"transfer-encoding: chunked" in lines else raw
