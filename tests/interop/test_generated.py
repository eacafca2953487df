"""Generated matchers and header values, against a real Envoy that reads its routes anew for each example.

Each matcher stands in an override of a virtual host of its own.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultware.core.request import Request
from faultware.errors import RuleError
from tests.interop.asking import Ask, Client
from tests.interop.families import ABORT, Document
from tests.interop.kit import chain, envoy
from tests.interop.mesh import FAULT, running
from tests.interop.rds import Routes, answer

pytestmark = pytest.mark.server

TEXTS = st.text(st.sampled_from("abAB1-. é%,"), min_size=1, max_size=4)
NUMBERS = st.integers(-3, 12) | st.sampled_from((-(2**63), 2**63 - 1))
PATTERNS = st.lists(
    st.sampled_from(
        (
            "a",
            "b",
            "A",
            ".",
            "[ab]",
            "[^a]",
            "a*",
            "b+",
            "1?",
            "(a|b)",
            "(?i:B)",
            r"\d",
            r"\w{1,2}",
            "é",
            "-",
            "[[:upper:]]",
        )
    ),
    min_size=1,
    max_size=4,
).map("".join)
LINES = st.lists(st.text(st.sampled_from("abAB1-.+ éÿ%,"), max_size=5).map(str.strip) | NUMBERS.map(str), max_size=3)


@st.composite
def matchers(draw) -> Document:
    """A `HeaderMatcher` on `x-h`, of any kind, with any flags."""
    kind = draw(st.sampled_from(("exact", "prefix", "suffix", "contains", "regex", "range", "present", "alone")))
    matcher: Document = {"name": "x-h"}
    if kind in ("exact", "prefix", "suffix", "contains"):
        text = draw(TEXTS if kind != "exact" else TEXTS | st.just(""))
        matcher["string_match"] = {kind: text, **({"ignore_case": True} if draw(st.booleans()) else {})}
    elif kind == "regex":
        matcher["string_match"] = {"safe_regex": {"regex": draw(PATTERNS)}}
    elif kind == "range":
        matcher["range_match"] = {"start": str(draw(NUMBERS)), "end": str(draw(NUMBERS))}
    elif kind == "present":
        matcher["present_match"] = draw(st.booleans())
    for flag in ("invert_match", "treat_missing_header_as_empty"):
        if draw(st.booleans()):
            matcher[flag] = True
    return matcher


def use(routes, client, found):
    """Put matchers into use, each behind a host of its own: `m0.test` and so on."""
    hosts = []
    for index, matcher in enumerate(found):
        override = {"envoy.filters.http.fault": {"@type": FAULT, "abort": ABORT, "headers": [matcher]}}
        route = {"match": {"prefix": "/"}, **answer("ok")}
        host = {"name": f"m{index}", "domains": [f"m{index}.test"], "routes": [route]}
        hosts.append({**host, "typed_per_filter_config": override})
    routes.use(client, hosts)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    directory = tmp_path_factory.mktemp("generated")
    routes = Routes(directory)
    with running(routes.configuration(), directory) as envoy_:
        client = Client(envoy_.ports["generated"])
        yield routes, client
        client.close()


def match_of(matcher):
    """Our condition; None: the rule would never act."""
    rules = envoy(chain(("a", {"abort": ABORT, "headers": [matcher]}))).rules
    return rules[0].match if rules else None


@settings(suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(matchers(), st.lists(LINES, min_size=1, max_size=4)), min_size=1, max_size=12))
def test_a_matcher_matches_what_envoy_matches(mesh, pairs):
    routes, client = mesh
    conditions = []
    for matcher, _ in pairs:
        try:
            conditions.append(match_of(matcher))
        except RuleError as error:
            # Envoy runs what may run away; without RE2 it is refused here.
            conditions.append(error)
    use(routes, client, [matcher for matcher, _ in pairs])
    for index, (matcher, values) in enumerate(pairs):
        condition = conditions[index]
        if isinstance(condition, RuleError):
            assert "can run away" in str(condition) or "cannot be bounded" in str(condition)
            continue
        for lines in values:
            # What is sent are bytes; a server shows them as Latin-1, without the blanks around.
            headers = [("x-h", line) for line in lines]
            outcome, _ = client.send(Ask("/", (("host", f"m{index}.test"), *headers)), "")
            ours = condition is not None and condition.accepts(Request(headers=headers))
            assert (outcome.status == 503) is ours, (matcher, lines)


def test_a_file_that_envoy_would_not_take_is_no_proof(mesh):
    routes, client = mesh
    use(routes, client, [{"name": "x-h", "present_match": True}])
    assert client.send(Ask("/", (("host", "m0.test"), ("x-h", "1"))), "")[0].status == 503
    assert client.send(Ask("/", (("host", "m0.test"),)), "")[0].body == b"ok"
