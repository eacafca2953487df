"""The document that describes the endpoint, and that it tells the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from faultware.config.documents import rules_schema
from faultware.control import bodies, openapi
from faultware.control.routes import ROUTES, Route, Table
from faultware.control.shapes import SCHEMAS
from tests.control.kit import RULE, open_desk
from tests.runtime.kit import BrokenStore, memory

OPENAPI = openapi.document("/_faultware")
OPERATIONS = [
    (path, method, operation) for path, methods in OPENAPI["paths"].items() for method, operation in methods.items()
]


def test_the_document_is_answered_with_the_path_of_the_endpoint():
    reply = open_desk(control_path="/ops/chaos")("GET", "/openapi.json")
    assert reply.status == 200
    assert reply.data["openapi"] == "3.1.0"
    assert reply.data["servers"] == [{"url": "/ops/chaos"}]
    assert json.loads(json.dumps(OPENAPI)) == {**reply.data, "servers": [{"url": "/_faultware"}]}


def test_it_has_every_route_of_the_table_and_no_other():
    assert [(path, method.upper()) for path, method, _ in OPERATIONS] == [(one.path, one.method) for one in ROUTES]


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(operation["summary"].endswith(".") for _, _, operation in OPERATIONS)


def test_every_reference_leads_somewhere():
    def references(data):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            if key == "$ref":
                yield value
            elif isinstance(value, (dict, list)):
                yield from references(value)

    found = set(references(OPENAPI))
    assert found
    for reference in found:
        place = OPENAPI
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_schema_is_one():
    for schema in OPENAPI["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_rules_are_described_by_the_schema_of_the_document_form():
    described = json.dumps(OPENAPI["components"]["schemas"]["Rule"]).replace("#/components/schemas/", "#/$defs/")
    assert json.loads(described) == rules_schema()["$defs"]["Rule"]
    duration = rules_schema()["$defs"]["Rule"]["properties"]["for"]
    assert bodies.DURATION["pattern"] == duration["pattern"]


# What is answered is what the document says.

ASKED = [
    ("GET", "/status", None),
    ("GET", "/guards", None),
    ("PUT", "/guards", {"abort_when": "p99 > 2s; memory > 512MiB"}),
    ("PUT", "/guards", {"abort_when": "p98 > 2s"}),
    ("POST", "/kill", None),
    ("POST", "/kill", {"reason": "slow"}),
    ("POST", "/arm", {"for": "10m"}),
    ("POST", "/arm", {}),
    ("GET", "/rules", None),
    ("PUT", "/rules", [RULE]),
    ("PUT", "/rules/new", RULE),
    ("GET", "/rules/new", None),
    ("DELETE", "/rules/new", None),
    ("POST", "/parse", {"rules": "/a 1% abort 503"}),
    ("POST", "/explain", {"path": "/pay", "headers": {"a": ["b"]}}),
    ("GET", "/events", None),
    ("GET", "/series", None),
    ("GET", "/recent", None),
    ("GET", "/audit", None),
    ("GET", "/capabilities", None),
    ("GET", "/metrics", None),
    ("GET", "/openapi.json", None),
    ("GET", "/rules/nobody", None),
    ("PUT", "/rules/Bad", RULE),
    ("POST", "/parse", {"rules": "/a"}),
]


def _described(route, status):
    response = OPENAPI["paths"][route.path][route.method.lower()]["responses"][str(status)]
    if "$ref" in response:
        return OPENAPI["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return response


def _validator(schema):
    return Draft202012Validator({**schema, "components": OPENAPI["components"]})


def test_every_answer_is_as_described(desk):
    for method, path, data in ASKED:
        reply = desk(method, path, data)
        route = Table().find(path)[0][method]
        described = _described(route, reply.status)
        assert ("etag" in reply.headers) is ("ETag" in described.get("headers", {})), path
        if reply.status == 204:
            assert "content" not in described
            continue
        content_type = reply.headers["content-type"].partition(";")[0]
        value = reply.data if content_type.endswith("json") else reply.body.decode()
        _validator(described["content"][content_type]["schema"]).validate(value)
        if data is not None and reply.status < 400:
            body = OPENAPI["paths"][route.path][method.lower()]["requestBody"]["content"]["application/json"]
            _validator(body["schema"]).validate(data)
    assert {(method, Table().find(path)[0][method].path) for method, path, _ in ASKED} == {
        (route.method, route.path) for route in ROUTES
    }


def test_a_kill_that_cannot_be_written_down_is_described_too():
    store = memory(kind=BrokenStore)
    desk = open_desk(store=store)
    store.broken.add("update")
    reply = desk("POST", "/kill")
    assert "warning" in reply.data
    Draft202012Validator(SCHEMAS["Status"]).validate(reply.data)


def test_the_pages_about_the_endpoint_tell_of_every_route():
    folder = Path(__file__).parents[2] / "docs/reference"
    pages = "".join((folder / name).read_text(encoding="utf-8") for name in ("control.md", "control-questions.md"))
    for route in ROUTES:
        assert pages.count(f"\n## {route.method} {route.path}\n") == 1


# The table.


@pytest.mark.parametrize(
    ("path", "methods", "name"),
    [
        ("/status", ["GET"], ""),
        ("/rules", ["GET", "PUT"], ""),
        ("/rules/pay", ["GET", "PUT", "DELETE"], "pay"),
        ("/rules/a/b", ["GET", "PUT", "DELETE"], "a/b"),
        ("/rules/", [], ""),
        ("/rules/{name}", ["GET", "PUT", "DELETE"], "{name}"),
        ("/status/x", [], "x"),
        ("/{name}", [], ""),
        ("/", [], ""),
        ("", [], ""),
        ("//", [], ""),
    ],
)
def test_a_path_has_these_methods(path, methods, name):
    found, given = Table().find(path)
    assert list(found) == methods
    if methods:
        assert given == name


def test_one_entry_is_a_route(desk):
    """What is not in the table is not answered, and what is in it is."""
    (entry,) = (route for route in ROUTES if route.path == "/status")
    desk.control._table = Table([Route("GET", "/health", entry.operation, entry.answers)])
    assert desk("GET", "/health").data["state"] == "armed"
    assert desk("GET", "/status").data["detail"] == "there is no /status here; there are /health"
