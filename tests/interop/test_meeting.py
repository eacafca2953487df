"""Which rules without group could meet on one request, of which a VirtualService does only what the first says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from faultware import Abort, Match, PathMatch, Rule
from faultware.interop import istioexport
from faultware.interop.istioexport import export_istio

PATHS = st.builds(
    lambda kind, value, ignore_case, invert: PathMatch(
        **{kind: value}, ignore_case=ignore_case, invert=invert and kind != "segments"
    ),
    st.sampled_from(["exact", "prefix", "segments", "suffix"]),
    st.lists(st.sampled_from(["/", "/a", "/A", "b", "/b/"]), min_size=1, max_size=3).map("".join).map("/{}".format),
    st.booleans(),
    st.booleans(),
)
MATCHES = st.builds(Match, st.none() | PATHS, methods=st.sampled_from([(), ("GET",), ("POST",), ("GET", "PUT")]))


@given(st.lists(MATCHES, max_size=8))
def test_all_rules_that_could_meet_one_before_are_told_and_no_others(matches):
    rules = [Rule(f"r{number}", match, percentage=1, abort=Abort(503)) for number, match in enumerate(matches)]
    losses = export_istio(rules).losses
    told = [remark.where for remark in losses if remark.reason.startswith("the first route")]
    left_out = {remark.where for remark in losses if remark.reason.endswith("the rule is left out")}
    before: list[Rule] = []
    for rule in rules:
        name = f"rule {rule.name}"
        assert (name in told) is any(istioexport._may_meet(rule, other) for other in before)
        before += [] if name in left_out else [rule]


def test_few_of_many_rules_are_compared(monkeypatch):
    compared, compare = [], istioexport._may_meet
    monkeypatch.setattr(istioexport, "_may_meet", lambda *two: compared.append(two) or compare(*two))
    rules = [Rule(f"r{number}", Match(f"/item/{number:04}"), percentage=1, abort=Abort(503)) for number in range(1000)]
    assert export_istio([*rules, Rule("all", Match("/item"), percentage=1, abort=Abort(503))]).losses
    assert len(compared) == 1
