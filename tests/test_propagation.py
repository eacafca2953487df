"""What calls carry on: when, within which limits, and that the baggage of others is left as it is."""

from __future__ import annotations

import contextvars
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware.propagation import MAX_BYTES, MAX_MEMBERS, Carrying, member, outgoing

OURS = "faultware-request=b1.x"


@pytest.fixture
def carried():
    carried = Carrying(lambda: "b1.mine")
    carried.begin()
    yield carried
    carried.end()


def test_without_anything_to_carry_headers_stay_as_they_are():
    assert outgoing() == {}
    assert outgoing({"accept": "text/plain", "Baggage": "a=b; c,d=e"}) == {
        "accept": "text/plain",
        "baggage": "a=b; c,d=e",
    }


def test_a_fault_request_that_nobody_has_accepted_is_not_passed_on():
    assert outgoing({"baggage": OURS}) == {}
    assert outgoing({"baggage": f"a=b, {OURS};p=1 ,faultware-request = y, c=d"}) == {"baggage": "a=b,c=d"}


def test_what_is_carried_stands_behind_what_was_there_and_replaces_its_like(carried):
    assert outgoing() == {"baggage": "faultware-request=b1.mine"}
    assert outgoing({"BAGGAGE": f"a=b,{OURS}", "x": "y"}) == {"x": "y", "baggage": "a=b,faultware-request=b1.mine"}


def test_what_only_resembles_ours_is_left_alone(carried):
    others = "Faultware-Request=1,faultware-requests=2,faultware-request,x=faultware-request=3"
    assert outgoing({"baggage": others}) == {"baggage": f"{others},faultware-request=b1.mine"}


def test_what_is_carried_gives_way_where_the_baggage_is_full(carried):
    full = ",".join(f"k{number}=v" for number in range(MAX_MEMBERS))
    assert outgoing({"baggage": full}) == {"baggage": full}
    long = "k=" + "v" * (MAX_BYTES - len("k=,faultware-request=b1.mine"))
    assert outgoing({"baggage": long})["baggage"] == f"{long},faultware-request=b1.mine"
    assert outgoing({"baggage": f"{long}v"}) == {"baggage": f"{long}v"}


def test_headers_are_not_changed_in_place(carried):
    given = {"baggage": "a=b"}
    outgoing(given)
    assert given == {"baggage": "a=b"}


def test_nothing_is_carried_when_there_is_nothing_any_more():
    carried = Carrying(lambda: "")
    carried.begin()
    assert outgoing() == {}
    carried.end()


def test_after_the_end_nobody_carries_anything_not_even_who_goes_on():
    carried = Carrying(lambda: "b1.mine")
    carried.begin()
    task = contextvars.copy_context()
    assert task.run(outgoing) == {"baggage": "faultware-request=b1.mine"}
    carried.end()
    assert outgoing() == {}
    assert task.run(outgoing) == {}


def test_an_end_in_another_context_is_an_end():
    carried = Carrying(lambda: "b1.mine")
    carried.begin()
    contextvars.Context().run(carried.end)
    assert outgoing() == {}
    carried.end()


def test_within_another_one_only_the_inner_one_is_carried(carried):
    inner = Carrying(lambda: "b1.inner")
    inner.begin()
    assert outgoing() == {"baggage": "faultware-request=b1.inner"}
    inner.end()
    assert outgoing() == {"baggage": "faultware-request=b1.mine"}


def test_other_threads_carry_nothing(carried):
    seen = []
    thread = threading.Thread(target=contextvars.Context().run, args=(lambda: seen.append(outgoing()),))
    thread.start()
    thread.join()
    assert seen == [{}]


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([], None),
        ([""], None),
        (["a=b"], None),
        (["faultware-request"], None),
        (["Faultware-Request=x"], None),
        (["x=faultware-request"], None),
        ([OURS], "b1.x"),
        ([f"a=b,{OURS}"], "b1.x"),
        (["a=b", OURS, "c=d"], "b1.x"),
        (["a=b, faultware-request\t= b1.x ; p ; q=1,,="], "b1.x"),
        ([f"{OURS},{OURS}"], ""),
        ([OURS, "faultware-request=y"], ""),
        ([",".join(["k=v"] * (MAX_MEMBERS - 1) + [OURS])], "b1.x"),
        ([",".join(["k=v"] * MAX_MEMBERS + [OURS])], None),
        (["k=" + "v" * MAX_BYTES + "," + OURS], None),
    ],
)
def test_a_fault_request_is_found_among_other_members(lines, value):
    assert member(lines) == value


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=5))
def test_whatever_the_baggage_is_it_is_read_and_passed_on(lines):
    assert member(lines) is None or "faultware-request" in ",".join(lines)
    before = {"baggage": ",".join(lines)}
    after = outgoing(before)
    assert outgoing(after) == after
    parts = [[part.strip(" \t") for part in text.split(",")] for text in (before["baggage"], after.get("baggage", ""))]
    assert [part for part in parts[0] if part] == [part for part in parts[1] if part]
