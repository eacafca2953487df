"""Every rule on the page about the network is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faultware.config.oneline import parse_rules

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "network-faults.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```\n((?:[A-Z]+ )?/[^`]*)```", PAGE)
CELLS = re.findall(r"^\| `((?:[A-Z]+ )?/[^`]*)`", PAGE, re.MULTILINE)


def test_there_are_rules_to_look_at():
    assert len(BLOCKS) > 5
    assert len(CELLS) > 5


@pytest.mark.parametrize("rules", [*BLOCKS, *CELLS])
def test_it_reads(rules):
    assert len(parse_rules(rules)) == len(rules.strip().splitlines())
