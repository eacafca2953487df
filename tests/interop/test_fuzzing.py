"""Whatever stands in a document, it makes rules or an error of ours, and never anything else."""

from __future__ import annotations

import json
from typing import get_args

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from faultware.cli.reading import documents
from faultware.config.values import read_rules_value
from faultware.errors import FaultwareError
from faultware.interop.envoyexport import export_envoy
from faultware.interop.istioexport import export_istio
from faultware.interop.load import Origin, import_text
from faultware.interop.writing import written
from tests.interop.families import cases
from tests.interop.kit import service
from tests.interop.mesh import bootstrap, completed
from tests.strategies import rule_lists

ROUTE = """{fault: {delay: {fixedDelay: 5s, percentage: {value: 3}}, abort: {httpStatus: 503, percentage: {value: 2}}},
  match: [{uri: {prefix: /a}, headers: {x-a: {regex: 'a+'}}, withoutHeaders: {x-b: {}}, queryParams: {q: {exact: '1'}},
  sourceLabels: {app: web}, method: {exact: GET}, ignoreUriCase: true}], route: [{destination: {host: shop}}]}"""
TOXIC = {
    "name": "t",
    "type": "latency",
    "stream": "upstream",
    "toxicity": 0.5,
    "attributes": {"latency": 5, "jitter": 1},
}
PLUGIN = {
    "abort": {
        "http_status": 503,
        "body": "${http_x ?? y}",
        "headers": {"x": "$uri", "y": 5},
        "vars": [[["uri", "/a"]]],
    },
    "delay": {
        "duration": 0.5,
        "percentage": 3,
        "vars": [["OR", ["arg_a", ">", 17], ["remote_addr", "ipmatch", "::1"]]],
    },
    "_meta": {"filter": [["host", "!", "==", "b"]], "disable": False},
}
SEEDS = [
    *[completed(case.document) for case in cases() if "-inverted" not in case.name],
    bootstrap({"in": cases()[0].document}, 80),
    yaml.safe_load(service(ROUTE, "{route: []}")),
    {"routes": [{"uris": ["/a", "/b*"], "hosts": ["*.b"], "methods": ["GET"], "plugins": {"fault-injection": PLUGIN}}]},
    {"plugins": {"fault-injection": PLUGIN}, "vars": [["!OR", ["uri", "~~", "a+"], ["arg_a", "!", "in", ["1", 2]]]]},
    [{"name": "db", "listen": "a:1", "upstream": "b:1", "enabled": True, "toxics": [TOXIC, {"type": "slicer"}]}],
]
STRANGE = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    10**30,
    "",
    "on",
    "503",
    "1s",
    "(a+)+",
    "\x00",
    "é",
    "x" * 2000,
    [],
    {},
    [None],
)
# No field begins so.
FILE = "a-file.yaml"
keys = st.sampled_from(
    ("abort", "delay", "headers", "name", "percentage", "numerator", "regex", "exact", "@type", "", "é", "x")
)


def parts(node, place=()):
    """Every place in a document."""
    yield place
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from parts(value, (*place, key))


def changed(document, place, change, value, key):
    """The document with one thing changed."""
    copy = json.loads(json.dumps(document))
    if not place:
        return value
    parent = copy
    for step in place[:-1]:
        parent = parent[step]
    last = place[-1]
    match change:
        case "replace":
            parent[last] = value
        case "remove":
            del parent[last]
        case "wrap":
            parent[last] = [parent[last]] if isinstance(value, list) else {key: parent[last]}
        case "add" if isinstance(parent, dict):
            parent[key] = value
        case "rename" if isinstance(parent, dict):
            parent[key] = parent.pop(last)
        case _:
            parent[last] = value
    return copy


@st.composite
def broken(draw):
    document = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(min_value=1, max_value=3))):
        places = list(parts(document))
        place = places[draw(st.integers(min_value=0, max_value=len(places) - 1))]
        change = draw(st.sampled_from(("replace", "remove", "wrap", "add", "rename")))
        document = changed(document, place, change, draw(st.sampled_from(STRANGE)), draw(keys))
    return document


def read(text, *, is_json):
    for origin in (None, *get_args(Origin)):
        try:
            imported = import_text(text, FILE, is_json=is_json, origin=origin)
        except FaultwareError as error:
            told = str(error)
        else:
            rules = imported.rules if imported else ()
            told = FILE + "".join(map(str, rules))
            # What `import` writes is read as the same rules.
            assert read_rules_value(documents(rules)) == rules
        # An error begins with the file, or with the number of mistakes.
        assert told.startswith(FILE) or f" mistakes:\n  {FILE}" in told


@given(broken())
@example({"plugins": {"fault-injection": {"abort": {"http_status": 503, "vars": [[["arg_a", "==", 2**63]]]}}}})
def test_a_document_that_was_changed_is_read_or_refused(document):
    read(json.dumps(document), is_json=True)
    read(yaml.safe_dump(document), is_json=False)


@given(st.sampled_from(SEEDS), st.data())
def test_a_text_that_was_cut_or_spoilt_is_read_or_refused(document, data):
    text = data.draw(st.sampled_from((json.dumps(document), yaml.safe_dump(document))))
    at = data.draw(st.integers(min_value=0, max_value=len(text)))
    spoilt = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(min_value=0, max_value=5)) :]
    for is_json in (True, False):
        read(data.draw(st.sampled_from((spoilt, text[:at]))), is_json=is_json)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    for is_json in (True, False):
        read(text, is_json=is_json)


@given(rule_lists(max_size=4))
def test_any_rules_are_exported_and_what_is_written_is_read_again(rules):
    for export in (export_envoy, export_istio):
        for document in export(rules).documents:
            import_text(written([document]), "f")
