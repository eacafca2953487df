"""No field, variable or word goes without a row in the tables of `refused`: what is new is refused by name, too."""

from __future__ import annotations

import json
import re

from faultware.config.settings import NAMES
from faultware.core.faults import FAULTS
from tests.config.test_refusals import DOCUMENTS, LINES, VARIABLES
from tests.servers.harness import ROOT

SCHEMA = json.loads((ROOT / "docs/reference/faults.schema.json").read_text(encoding="utf-8"))
MESSAGES = "\n".join(message for _, message in DOCUMENTS)


def properties(schema):
    """The name of every field that a document may hold."""
    if isinstance(schema, list):
        return set().union(*map(properties, schema))
    if not isinstance(schema, dict):
        return set()
    below = (properties(value) for value in schema.values())
    return set(schema.get("properties", ())).union(*below)


def test_every_field_of_a_document_has_a_row():
    names = properties(SCHEMA)
    assert len(names) > 130
    unrefused = {name for name in names if not re.search(rf"\.{name}[:\[.]|\W{name} is missing|\W{name}: ", MESSAGES)}
    assert unrefused == set()


def test_every_variable_has_a_row():
    said = "\n".join(message for _, message in VARIABLES)
    assert {name for name in NAMES if f"FAULTWARE_{name.upper()}: " not in said} == set()


def test_every_fault_has_a_wrong_line():
    wrong = LINES[::2]
    assert {fault.kind for fault in FAULTS if not any(re.search(rf"\b{fault.kind}\b", line) for line in wrong)} == set()


def test_every_part_of_a_line_has_a_wrong_one():
    wrong = "\n".join(LINES[::2])
    parts = (" header:", " query:", " cookie:", " host", " client", "%", "pct", "x ", "+", "|", "*", " or ", " for ")
    parts += (" as ", "±", "+-", "..", "grpc=", "POST", "{", "?", "#")
    assert {part for part in parts if part not in wrong} == set()
