"""Generated route tables, exported rules and wishes, against a real Envoy that reads its routes anew each time."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from faultware import Abort, Rule
from faultware.core.engine import Engine, Limits
from faultware.core.request import Request, as_sent
from faultware.core.ruleset import LiveRule, RuleSet
from faultware.core.sampling import Dice
from faultware.errors import RuleError
from faultware.interop.envoyexport import export_envoy
from faultware.interop.load import import_text
from tests.interop.asked import GRPC, HTTP, SHARE
from tests.interop.asking import Ask, Client
from tests.interop.families import ALWAYS, Document, fault
from tests.interop.mesh import FAULT, running
from tests.interop.rds import Routes, answer
from tests.interop.routes import FILTER_CONFIG
from tests.interop.test_generated import matchers
from tests.strategies import matches, requests

pytestmark = pytest.mark.server

# What the chain itself does where nothing overrides it.
CHAIN = fault(abort={"http_status": 410, "percentage": ALWAYS})
GROUP = "g"
FILTER = "envoy.filters.http.fault"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    directory = tmp_path_factory.mktemp("generated-routes")
    routes = Routes(directory, CHAIN, fault(GROUP))
    with running(routes.configuration(), directory) as envoy:
        client = Client(envoy.ports["generated"])
        yield routes, client
        client.close()


def seen(ask: Ask) -> Request:
    """The request as a server shows it."""
    path, _, query = ask.target.partition("?")
    return Request(
        ask.method,
        unquote(path),
        query_string=query,
        headers=list(ask.headers),
        client="127.0.0.1",
        raw_path=path,
    )


def status(rules, ask):
    """What we answer; 200: the application does."""
    request = seen(ask)
    candidates = RuleSet(map(LiveRule, rules)).candidates(request)
    plan = Engine(Dice(lambda: 0.5), Limits()).decide(candidates, request, 0.0)
    return plan.ending.fault.status if plan and plan.ending else 200


HOSTS = (
    "one.test",
    "ONE.test",
    "x.one.test",
    "y.x.one.test",
    ".one.test",
    "one.example",
    "one.",
    "one.x.y",
    "else",
    "one.test:80",
)
DOMAINS = ("one.test", "*.one.test", "*.x.one.test", "*x.one.test", "one.*", "one.x.*", "x.one.test", "one.test:80")
TARGETS = ("/", "/a", "/a/", "/a/b", "/ab", "/A", "/b", "/a?q=1", "/b?q=1&a=2", "/a?q", "/%61", "//a", "/b/c?a=%31&q=2")
TEXTS = ("/", "/a", "/a/", "/A", "/ab", "/b")
statuses = st.sampled_from((418, 404, 501))
somewhat = st.integers(0, 3).map(lambda number: not number)


@st.composite
def route_matches(draw) -> Document:
    kind = draw(st.sampled_from(("prefix", "prefix", "path", "path_separated_prefix", "safe_regex")))
    match: Document = {}
    if kind == "safe_regex":
        match[kind] = {"regex": draw(st.sampled_from(("/[ab]", "/a.*", "(?i)/A", "/a|/b/.*", "/.*")))}
    elif kind == "path_separated_prefix":
        match[kind] = draw(st.sampled_from(("/a", "/a/b", "/A")))
    else:
        match[kind] = draw(st.sampled_from(TEXTS))
    if kind != "safe_regex" and draw(somewhat):
        match["case_sensitive"] = draw(st.booleans())
    if draw(somewhat):
        match["headers"] = [draw(matchers())]
    if draw(somewhat):
        wanted = draw(st.sampled_from(({"exact": "1"}, {"prefix": "1"}, {"safe_regex": {"regex": "[12]"}})))
        name = draw(st.sampled_from(("q", "a")))
        present = {"name": name, "present_match": draw(st.booleans())}
        match["query_parameters"] = [draw(st.sampled_from(({"name": name, "string_match": wanted}, present)))]
    if draw(somewhat) and draw(st.booleans()):
        match["grpc"] = {}
    return match


@st.composite
def overrides(draw) -> Document:
    """What stands in a level; often nothing."""
    match draw(st.sampled_from(("", "", "none", "off", "abort", "abort", "conditional"))):
        case "none":
            config: Document = {"@type": FAULT}
        case "off":
            config = {"@type": FILTER_CONFIG, "disabled": True}
        case "abort":
            config = {"@type": FAULT, "abort": {"http_status": draw(statuses), "percentage": ALWAYS}}
        case "conditional":
            abort = {"http_status": draw(statuses), "percentage": ALWAYS}
            config = {"@type": FAULT, "abort": abort, "headers": [draw(matchers())]}
        case _:
            return {}
    return {"typed_per_filter_config": {FILTER: config}}


@st.composite
def tables(draw) -> tuple[list[Document], Document]:
    domains = draw(st.lists(st.sampled_from(DOMAINS), max_size=4, unique=True))
    hosts = [domains[:2], domains[2:], ["*"] if draw(st.booleans()) else []]
    found = [
        {
            "name": f"h{index}",
            "domains": names,
            "routes": [
                {"match": draw(route_matches()), **draw(overrides()), **answer("ok")}
                for _ in range(draw(st.integers(0, 3)))
            ],
            **draw(overrides()),
        }
        for index, names in enumerate(hosts)
        if names
    ]
    return found, draw(overrides())


asks = st.builds(
    lambda host, target, value, kind: Ask(
        target,
        (("host", host), *(("x-h", line) for line in value), *(("content-type", line) for line in kind)),
    ),
    st.sampled_from(HOSTS),
    st.sampled_from(TARGETS),
    st.lists(st.sampled_from(("a", "B", "", "1", "-", "é")), max_size=2),
    st.sampled_from(((), ("application/grpc",), ("application/grpc+proto",), ("application/grpc-web",))),
)


@settings(suppress_health_check=list(HealthCheck))
@given(tables(), st.lists(asks, min_size=4, max_size=12))
def test_a_table_of_routes_does_what_it_does_in_envoy(mesh, found, several):
    routes, client = mesh
    hosts, level = found
    document = {"http_filters": [CHAIN], "route_config": {"name": "r", "virtual_hosts": hosts, **level}}
    try:
        rules = import_text(json.dumps(document), "f.yaml", origin="envoy").rules
    except RuleError as error:
        # Envoy runs what may run away; without RE2 it is refused here.
        refused = str(error)
        assume("can run away" not in refused and "cannot be bounded" not in refused)
        raise
    routes.use(client, hosts, **level)
    for ask in several:
        outcome, _ = client.send(ask, "")
        ours = status(rules, ask)
        # What an abort becomes for a client of gRPC is compared elsewhere.
        assert outcome.status == ours or (outcome.grpc[0] and ours != 200), (ask, outcome)


@settings(suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_exported_rules_hit_nothing_in_envoy_that_they_do_not_hit_here(mesh, data):
    routes, client = mesh
    names = st.integers(410, 499).map(lambda number: f"r{number}")
    rules = data.draw(
        st.lists(
            st.builds(
                lambda match, name: Rule(name, match, percentage=100, abort=Abort(int(name[1:])), group=GROUP),
                matches(),
                names,
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda rule: rule.name,
        )
    )
    exported = export_envoy(rules)
    if not exported.documents:
        return
    (document,) = exported.documents
    (host,) = document["route_config"]["virtual_hosts"]
    found = [{key: value for key, value in route.items() if key != "route"} | answer("ok") for route in host["routes"]]
    spared = {"typed_per_filter_config": {FILTER: {"@type": FAULT}}}
    routes.use(client, [{"name": "all", "domains": ["*"], "routes": found}], **spared)
    for _ in range(4):
        request = data.draw(requests(rules))
        ask = sent(request)
        assume(ask is not None)
        outcome, _ = client.send(ask, "")
        assert outcome.status in (200, status(rules, ask)), (ask, outcome)


def sent(request: Request) -> Ask | None:
    """The request as bytes; None: it cannot be sent so."""
    raw = request.raw_path or as_sent(request.path)
    if not raw.isascii() or not raw.isprintable() or " " in raw or raw.startswith("/mount") or not raw.startswith("/"):
        return None
    if len(request.header("host")) > 1 or any("\n" in value for _, value in request._header_lines):
        return None
    query = f"?{request.query_string}" if request.query_string else ""
    lines = tuple((name, value.encode().decode("latin-1")) for name, value in request._header_lines)
    return Ask(raw + query, lines, request.method)


words = st.one_of(
    st.integers(0, 700).map(str),
    st.text(st.sampled_from("0123456789+-. xXeE_,"), max_size=6),
    st.integers(2**32 - 2, 2**32 + 2).map(str),
    st.integers(2**64 - 2, 2**64 + 600).map(str),
    st.integers(0, 60).flatmap(lambda zeros: st.sampled_from(("503", "100", "7")).map(lambda text: "0" * zeros + text)),
)
BY_HEADER = {"@type": FAULT, "abort": {"header_abort": {}, "percentage": ALWAYS}}


@pytest.fixture
def wishing(mesh):
    routes, client = mesh
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **answer("ok")}]}
    routes.use(client, [{**host, "typed_per_filter_config": {FILTER: BY_HEADER}}])
    return client


@settings(suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from((HTTP, HTTP, GRPC, HTTP + SHARE)), words), max_size=4))
@example([(HTTP, "0" * 50 + "503")])
def test_wishes_are_read_as_envoy_reads_them(wishing, lines):
    ask = Ask("/", (("host", "a"), *lines))
    rules = import_text(json.dumps(BY_HEADER), "f.yaml", origin="envoy").rules
    (fired,) = [list(rule.by_headers.asked(seen(ask))) for rule in rules]
    # What is left to dice is compared elsewhere.
    assume(all(one.percentage in (0, 100) for one in fired))
    outcome, _ = wishing.send(ask, "")
    ours = [one for one in fired if one.percentage]
    assert (not ours) is (outcome.body == b"ok"), lines
    if ours:
        assert (ours[0].status if ours[0].grpc_status is None else 200) == outcome.status, lines
