"""Generated matchers and header values, against a real Envoy that reads its routes anew for each example.

Each matcher stands in an override of a virtual host of its own; a route that answers with a number tells when Envoy has
taken the new table into use.
"""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultware.core.request import Request
from faultware.errors import RuleError
from tests.interop.asking import Ask, Client
from tests.interop.families import ABORT, Document, fault
from tests.interop.kit import chain, envoy
from tests.interop.mesh import FAULT, MANAGER, ROUTER, running
from tests.servers.harness import eventually

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


class Mesh:
    """An Envoy whose routes can be changed.

    Args:
        directory: Where its files are.
    """

    def __init__(self, directory):
        self.file = directory / "routes.json"
        self._numbers = itertools.count(1)
        self._write([])

    def configuration(self) -> Document:
        """The bootstrap: one listener, which reads its routes from the file."""
        source = {"path_config_source": {"path": str(self.file)}, "resource_api_version": "V3"}
        manager = {
            "@type": MANAGER,
            "stat_prefix": "generated",
            "generate_request_id": False,
            "http_filters": [fault(), {"name": "router", "typed_config": {"@type": ROUTER}}],
            "rds": {"route_config_name": "generated", "config_source": source},
        }
        listener = {
            "name": "generated",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
        }
        admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        return {"admin": admin, "node": {"id": "a", "cluster": "a"}, "static_resources": {"listeners": [listener]}}

    def use(self, client, found):
        """Put matchers into use, each behind a host of its own: `m0.test` and so on."""
        number = self._write(found)
        ask = Ask("/", (("host", "version.test"),))
        eventually(lambda: client.send(ask, "")[0].body == number, f"Envoy to take {found}", pause=0.003)

    def _write(self, found) -> bytes:
        number = str(next(self._numbers))
        hosts = [self._host("version", number)]
        for index, matcher in enumerate(found):
            override = {"envoy.filters.http.fault": {"@type": FAULT, "abort": ABORT, "headers": [matcher]}}
            hosts.append({**self._host(f"m{index}", "ok"), "typed_per_filter_config": override})
        routes = {
            "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            "name": "generated",
            "virtual_hosts": hosts,
        }
        # Envoy watches for a file that is moved into its place.
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"version_info": number, "resources": [routes]}))
        fresh.rename(self.file)
        return number.encode()

    def _host(self, name, body) -> Document:
        answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": body}}}
        return {"name": name, "domains": [f"{name}.test"], "routes": [answer]}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    directory = tmp_path_factory.mktemp("generated")
    mesh = Mesh(directory)
    with running(mesh.configuration(), directory) as envoy_:
        client = Client(envoy_.ports["generated"])
        yield mesh, client
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
    routes.use(client, [matcher for matcher, _ in pairs])
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
    routes.use(client, [{"name": "x-h", "present_match": True}])
    assert client.send(Ask("/", (("host", "m0.test"), ("x-h", "1"))), "")[0].status == 503
    assert client.send(Ask("/", (("host", "m0.test"),)), "")[0].body == b"ok"
