"""The pages of all faults say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import faultware
from faultware.config.documents import read_rules
from faultware.config.oneline import parse_rules
from faultware.core.faults import FAULTS
from faultware.core.faults.forms import forms_of

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGE = "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("faults.md", "faults-response.md"))
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
KINDS = [fault.kind for fault in FAULTS]
# Their fields have no forms; the page of rules tells them.
TOLD_ELSEWHERE = {"delay", "delay_response", "abort", "raise", "hang"}


def _said(kind, name):
    (said,) = re.findall(rf"^\| {name} \| (.*) \|$", SECTIONS[kind], re.MULTILINE)
    return said.strip("`")


def _one(rules):
    (rule,) = rules
    (fault,) = rule.faults
    return fault


def test_every_fault_has_a_section_in_the_order_in_which_faults_act():
    assert [name for name in SECTIONS if name != "Places"] == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_its_forms_mean_the_same(kind):
    line = _one(parse_rules(f"/a 10% {_said(kind, 'one line')}"))
    assert line.kind == kind
    document = yaml.safe_load(_said(kind, "document"))
    assert _one(read_rules([{"percentage": 10, **document}])) == line
    assert eval(_said(kind, "Python"), vars(faultware).copy()) == line


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_needs_is_said(kind):
    fault = FAULTS[KINDS.index(kind)]
    assert _said(kind, "needs") == fault.needs.name.lower()
    assert f"| {fault.needs.name.lower()} |" in PAGE.partition("## Before")[0]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in TOLD_ELSEWHERE])
def test_all_its_fields_are_listed_with_their_defaults(kind):
    fields = forms_of(FAULTS[KINDS.index(kind)])
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", SECTIONS[kind], re.MULTILINE)
    assert [name for name, _ in rows] == [field.form.key for field in fields]
    for field, (_, said) in zip(fields, rows, strict=True):
        if field.is_required:
            assert said == "mandatory"
        elif said.startswith("`") and not said.startswith("`FAULTWARE"):
            assert said.strip("`") == str(field.form.kind.write(field.default))
        else:
            assert not field.default
