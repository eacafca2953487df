"""Parts of a group in the mesh, which draws between clusters."""

from __future__ import annotations

import pytest

from faultware import Abort, Match, Rule
from faultware.core.request import Request
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.interop.envoyexport import export_envoy
from faultware.interop.istioexport import export_istio
from faultware.interop.load import import_text
from faultware.interop.writing import written


def arm(name, part, path="/a"):
    return Rule(name, Match(path), percentage=100, abort=Abort(503), group="g", part=part)


@pytest.mark.parametrize("export", [export_envoy, export_istio])
def test_arms_are_left_out_and_what_they_match_is_spared(export):
    rules = [arm("a", (0, 10)), arm("b", (10, 30)), arm("c", None), arm("d", None, "/b")]
    exported = export(rules)
    assert [(remark.where, remark.what) for remark in exported.losses] == [("rule a", "part"), ("rule b", "part")]
    assert exported.losses[0].reason.endswith("; the rule is left out, and spares what it matches")
    again = RuleSet(map(LiveRule, import_text(written(exported.documents), "f.yaml").rules))
    assert [
        next((bool(live.rule.faults) for live in again.candidates(request) if live.rule.match.accepts(request)), False)
        for request in (Request(path=path, raw_path=path) for path in ("/a", "/b"))
    ] == [False, True]
