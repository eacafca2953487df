"""Istio's match language against the Envoy routes that Istio makes of it, which are held to a real Envoy elsewhere."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from faultware.core.request import Request
from faultware.interop.load import import_text
from tests.interop.families import ABORT, override
from tests.interop.kit import service
from tests.interop.routes import host, route, table

FAULT = "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}"
WORDS = ("a", "A", "ab", "/a", "/", "/a/b", "b", "1")
PATTERNS = ("a.*", "(?i)A", "[ab]+", "/a(/.*)?", ".*", "a|b", "/.*")
HOSTS = ("a.b", "a.b:80", "c")

strings = st.one_of(
    st.sampled_from(("", *WORDS)).map(lambda word: {"exact": word}),
    st.sampled_from(WORDS).map(lambda word: {"prefix": word}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"regex": pattern}),
)
wanted = strings | st.sampled_from(({}, {"regex": "*"}))
names = st.dictionaries(st.sampled_from(("x-a", "x-b")), wanted, min_size=1)
CONDITIONS = {
    "uri": st.one_of(
        st.sampled_from(("/a", "/A", "/a/b")).map(lambda path: {"exact": path}),
        st.sampled_from(("/a", "/A", "/", "")).map(lambda path: {"prefix": path}),
        st.sampled_from(PATTERNS).map(lambda pattern: {"regex": pattern}),
    ),
    "method": st.sampled_from(("GET", "POST")).map(lambda method: {"exact": method}),
    "scheme": st.just({"exact": "http"}),
    "authority": st.sampled_from(HOSTS).map(lambda name: {"exact": name}),
    "headers": names,
    "withoutHeaders": names,
    "queryParams": st.dictionaries(st.sampled_from(("q", "r")), strings | st.just({}), min_size=1, max_size=2),
}
# With few conditions requests meet them often.
blocks = st.lists(st.sampled_from(tuple(CONDITIONS)), min_size=1, max_size=3, unique=True).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {name: CONDITIONS[name] for name in chosen},
        optional={"ignoreUriCase": st.booleans()} if "uri" in chosen else {},
    )
)


def compiled(block):
    """The match of an Envoy route that Istio makes of a block."""
    match = {"prefix": "/"}
    if "uri" in block:
        ((kind, value),) = block["uri"].items()
        if kind == "regex":
            match = {"safe_regex": {"regex": value}}
        else:
            kept = not block.get("ignoreUriCase", False)
            match = {"path" if kind == "exact" else "prefix": value, "case_sensitive": kept}
    headers = [
        {"name": f":{name}", **string(block[name])} for name in ("method", "scheme", "authority") if name in block
    ]
    headers += [{"name": name, **header(value)} for name, value in block.get("headers", {}).items()]
    headers += [
        {"name": name, **header(value), "invert_match": True}
        | ({} if "present_match" in header(value) else {"treat_missing_header_as_empty": True})
        for name, value in block.get("withoutHeaders", {}).items()
    ]
    queries = [
        {"name": name, **(string(value) if value else {"present_match": True})}
        for name, value in block.get("queryParams", {}).items()
    ]
    return match | ({"headers": headers} if headers else {}) | ({"query_parameters": queries} if queries else {})


def header(value):
    return {"present_match": True} if not value or value.get("regex") == "*" else string(value)


def string(value):
    ((kind, text),) = value.items()
    return {"string_match": {"safe_regex": {"regex": text}} if kind == "regex" else {kind: text}}


values = st.sampled_from(("", *WORDS))
requests = st.builds(
    lambda method, path, query, name, lines: Request(
        method, path, query_string=query, headers=[("host", name), *lines.items()], raw_path=path
    ),
    st.sampled_from(("GET", "POST")),
    st.sampled_from(("/", "/a", "/A", "/a/b", "/ab", "/b")),
    st.sampled_from(("", "q=a", "q=", "q", "q=b&r=a", "r=/a", "q=1&q=a")),
    st.sampled_from(HOSTS),
    st.dictionaries(st.sampled_from(("x-a", "x-b")), values),
)


def hits(rules, request):
    """Whether a request is faulted: of a group the first rule that matches decides."""
    return any(next(([bool(rule.faults)] for rule in rules if rule.match.accepts(request)), [False]))


@settings(max_examples=200)
@given(blocks, st.lists(requests, min_size=8, max_size=16))
def test_a_block_matches_what_the_route_matches_that_istio_makes_of_it(block, several):
    ours = import_text(service(f"{{{FAULT}, match: [{json.dumps(block)}]}}"), "f.yaml").rules
    theirs = import_text(json.dumps(table(host(route(compiled(block), override(abort=ABORT))))), "f.yaml").rules
    for request in several:
        assert hits(ours, request) is hits(theirs, request), (block, request)
