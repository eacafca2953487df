"""For each case a middleware of ours with the case's configuration, around one application.

The file that `INTEROP_CASES` names holds documents by case. Which case a request is for, a header says; without it the
application itself answers, as it does behind Envoy.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import cache
from pathlib import Path

from faultware.interop.load import import_text
from faultware.runtime import injector
from tests.interop.asking import CASE, REACHED


class StillRefresher:
    """In place of the thread that looks at the switch, which nobody uses here: two hundred of them would be busy."""

    def __init__(self, owner):
        pass

    def wake(self):
        pass


TALLY = "/tally"
ANSWER = b"reached"


@cache
def documents():
    """The documents of all cases, as text."""
    path = os.environ.get("INTEROP_CASES")
    return json.loads(Path(path).read_text()) if path else {}


def options(case):
    """What a middleware is made with, in a process that serves: the tests themselves keep their threads."""
    injector.Refresher = StillRefresher
    imported = import_text(documents()[case], f"{case}.yaml")
    return {
        "enabled": True,
        "rules": imported.rules,
        "store": "memory:",
        "environ": {},
        "max_active_faults": imported.settings.get("max_active_faults", 1000),
        "envoy_headers": True,
        "envoy_headers_from": "*",
    }


def tally(middleware):
    """What a middleware has injected, by kind."""
    counts = Counter()
    for live in middleware._injector.live_rules():
        counts.update(live.tally.injected)
        counts["overflow"] += live.tally.suppressed["max_active"]
    return json.dumps(counts).encode()


def headers(body):
    return [("content-type", "application/x-reached"), ("content-length", str(len(body))), (REACHED, "1")]


__all__ = ["ANSWER", "CASE", "TALLY", "documents", "headers", "options", "tally"]
