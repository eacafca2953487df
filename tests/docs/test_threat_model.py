"""What the threat model promises is shown by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/threat-model.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[a-z_/]+\.py)(?:::(test_[a-z0-9_]+))?`", PAGE)


def test_every_test_that_it_names_exists():
    for file, name in NAMED:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"\ndef {name}(" in text or f"\nasync def {name}(" in text, (file, name)


def test_every_threat_names_a_test():
    threats = PAGE.partition("## Reaching the control endpoint")[2].partition("## What is not done")[0]
    paragraphs = [part for part in threats.split("\n\n") if part.strip().startswith("**")]
    assert len(paragraphs) > 30
    for paragraph in paragraphs:
        assert re.search(r"\[`tests/[^\]]+`\]\s*\Z", paragraph), paragraph[:80]
