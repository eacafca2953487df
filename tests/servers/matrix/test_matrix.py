"""The page of the matrix says what is so."""

from __future__ import annotations

import pytest

from tests.servers.matrix.columns import SERVERS
from tests.servers.matrix.observing import observe
from tests.servers.matrix.page import AGAIN, PAGE, load, render

pytestmark = pytest.mark.server


def test_the_page_is_made_of_what_was_seen():
    assert PAGE.read_text(encoding="utf-8") == render(load()), AGAIN


def test_every_server_was_looked_at():
    assert list(load()) == list(SERVERS)


@pytest.mark.matrix
@pytest.mark.parametrize("label", SERVERS)
def test_every_fault_still_looks_as_the_page_says(label):
    expected, seen = load()[label], observe(label)
    for _ in range(2):
        # Who is held up sees at once what came in pieces, and runs out of patience: that needs a second look.
        strange = {fault for fault in expected if seen.get(fault) != expected[fault]}
        if strange:
            seen |= observe(label, strange)
    assert seen == expected, AGAIN
