"""What holds for every file of the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 400


def _written_by_hand() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.fail("which files belong to the repository, only git knows: test in a clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    kinds = {".py", ".js", ".css", ".html", ".md", ".toml", ".yaml"}
    return [ROOT / name for name in listed.split("\0") if Path(name).suffix in kinds and (ROOT / name).exists()]


def test_no_file_is_longer_than_a_reader_bears():
    paths = _written_by_hand()
    assert len(paths) > 300
    assert [path.name for path in paths if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST] == []


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere():
    lost = []
    for path in _written_by_hand():
        if path.suffix != ".md":
            continue
        page = path.read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s]+)\)", page):
            place, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = path.parent / place if place else path
            if not target.exists() or (anchor and anchor not in _anchors(target.read_text(encoding="utf-8"))):
                lost.append(f"{path.relative_to(ROOT)}: {link}")
    assert lost == []
