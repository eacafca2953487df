"""What the importer refuses, a real Envoy refuses too, but for what is meant."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from faultware import Abort, Match, Rule
from faultware.interop.envoyexport import export_envoy
from tests.interop.kit import chain
from tests.interop.mesh import FAULT, bootstrap, complaint
from tests.interop.test_refused import rows

pytestmark = pytest.mark.server

# Told among the differences.
MEANT = ("90000s", "headers: {name: x}", r"\pL")
FIELDS = ("{abort", "{delay", "{headers", "{response_rate_limit", "{max_active_faults")
TAKEN = '{abort: {http_status: "503", percentage: {numerator: 0x32, denominator: ten_thousand}}}'


def filters():
    """The rows that are a filter by themselves."""
    return [text for _, text, _ in rows("envoy") if text.startswith(FIELDS)]


def around(text):
    """A whole configuration with this filter, in the words in which it is written."""
    whole = json.dumps(bootstrap({"it": chain(("fault", {"place": "here"}))}, 80))
    gap = json.dumps({"@type": FAULT, "place": "here"})
    assert gap in whole
    return whole.replace(gap, f'{{"@type": {FAULT}, {text.removeprefix("{")}')


def test_a_real_envoy_refuses_what_is_refused_here(tmp_path):
    asked = [TAKEN, *filters()]
    assert len(asked) > 40
    with ThreadPoolExecutor(2) as pool:
        files = [tmp_path / f"{number}.yaml" for number in range(len(asked))]
        said = list(pool.map(complaint, map(around, asked), files))
    loaded = [text for text, refusal in zip(asked, said, strict=True) if not refusal]
    assert loaded == [TAKEN, *(text for text in filters() if any(part in text for part in MEANT))]


@pytest.mark.parametrize("length", [85, 86])
def test_a_real_envoy_refuses_an_exported_pattern_just_where_that_is_told(tmp_path, length):
    rule = Rule("a", Match("/" + "a" * length), percentage=1, abort=Abort(503))
    exported = export_envoy([rule])
    refusal = complaint(json.dumps(bootstrap({"it": exported.documents[0]}, 80)), tmp_path / "envoy.yaml")
    assert ("RE2 program size of" in refusal) is bool(exported.remarks)
    assert bool(exported.remarks) is (length == 86)


# What Envoy says to the tables that are refused here, in their order.
SAID = (
    "Domains: value must contain at least 1 item",
    "Only unique values for domains are permitted",
    "PathSeparatedPrefix: value does not match",
    "has already been set",
    "Field 'weight' is missing",
    "Sum of weights in the weighted_cluster must be greater than 0",
    "Empty route/virtual host per filter configuration",
    "envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions",
    "typed_per_filter_config",
    "case_sensitive",
    "no such field: 'typed_per_filter_configs'",
    "Didn't find a registered implementation",
    "no such field: 'per_filter_config'",
)


def test_a_real_envoy_refuses_the_tables_that_are_refused_here_for_the_same_reason(tmp_path):
    found = [yaml.safe_load(text) for _, text, _ in rows("envoy") if text.startswith("{virtual_hosts: [{domains")]
    assert len(found) == len(SAID)
    for number, (table, words) in enumerate(zip(found, SAID, strict=True)):
        for host in table["virtual_hosts"]:
            host["name"] = "any"
        document = {**chain(("f", {})), "route_config": table}
        refusal = complaint(json.dumps(bootstrap({"it": document}, 80)), tmp_path / f"{number}.yaml")
        assert words in " ".join(refusal.split()), refusal


def test_a_real_envoy_refuses_fault_filters_of_types_that_it_knows_no_more(tmp_path):
    said = ("is no type that Envoy knows", "typed_config is missing")
    asked = [text for _, text, message in rows("envoy") if any(part in message for part in said)]
    chains = [yaml.safe_load(text) for text in asked if text.startswith("{http_filters")]
    assert len(chains) > 3
    for number, document in enumerate(chains):
        assert complaint(json.dumps(bootstrap({"it": document}, 80)), tmp_path / f"{number}.yaml")
