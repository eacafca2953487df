"""The strategies themselves: what they make must be worth testing with."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import let_threads_end
from tests.strategies import requests, rule_lists


def test_requests_made_of_rules_often_match_them_and_every_kind_of_path_occurs():
    found: Counter[str] = Counter()
    everything = list(HealthCheck)

    # The same ones every time: what is counted is no matter of luck.
    @settings(max_examples=500, derandomize=True, phases=[Phase.generate], suppress_health_check=everything)
    @given(st.data())
    def count(data):
        rules = data.draw(rule_lists(max_size=3).filter(bool))
        request = data.draw(requests(rules))
        found["all"] += 1
        found["match"] += any(rule.match.accepts(request) for rule in rules)
        found.update(rule.match.path.kind for rule in rules if rule.match.path)

    let_threads_end()
    count()
    assert found["all"] * 0.15 < found["match"] < found["all"]
    for kind in ("segments", "exact", "prefix", "suffix", "contains", "regex", "glob", "template"):
        assert found[kind], kind
