"""How long importing a middleware takes, what it must not load, and how long it takes to wrap a first application.

Each import runs in a new interpreter. What the framework's own modules take, which the middleware needs and every
application that uses it has loaded anyway, is measured in the same way and taken away. The fastest of several
runs counts, in turn with the others.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from benchmarks.report import Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 15
QUICK_RUNS = 3
MOST_MILLISECONDS = 60.0

STARLETTE = "starlette.concurrency, starlette.requests, starlette.responses"
WERKZEUG = "werkzeug.exceptions, werkzeug.wrappers"
# What each middleware needs of its framework, and what it may not load.
CASES = {
    "faultware.asgi": (STARLETTE, ("werkzeug", "pydantic", "pydantic_settings", "prometheus_client", "trio")),
    "faultware.wsgi": (
        WERKZEUG,
        ("starlette", "anyio", "asyncio", "pydantic", "pydantic_settings", "prometheus_client"),
    ),
}

# What is loaded only then: settings, rules, metrics.
WRAPPING = (
    "{module}; {module}.FaultMiddleware(print, enabled=True, store='memory:', rules='/ 10% abort 503', environ=ENV)"
)
# Prints the milliseconds of processor time that the second import takes after the first, and all that is loaded then.
PROGRAM = """
import logging, sys, time
import {first}
ENV = {{}}
logging.disable()
began = time.process_time()
import {second}
print(1000 * (time.process_time() - began), *sys.modules)
"""


def run(*, quick: bool) -> Iterator[Table]:
    """Both middlewares after their framework, and alone."""
    with tempfile.TemporaryDirectory() as cache:
        yield _table(QUICK_RUNS if quick else RUNS, cache)


def _table(runs: int, cache: str) -> Table:
    rows = []
    for module, (framework, forbidden) in CASES.items():
        beyond: list[float] = []
        alone: list[float] = []
        loaded: set[str] = set()
        wrapping: list[float] = []
        for _ in range(runs):
            beyond.append(_import(framework, module, cache)[0])
            milliseconds, loaded = _import("sys", module, cache)
            alone.append(milliseconds)
            wrapping.append(_import(module, WRAPPING.format(module=module), cache)[0])
        best = min(beyond)
        found = sorted(loaded.intersection(forbidden))
        limit = f"≤ {MOST_MILLISECONDS:.0f} ms"
        rows += [
            Row(f"{module} beyond {framework}", limit, (f"{best:.0f} ms",), best <= MOST_MILLISECONDS),
            Row(f"{module} with everything it loads", "", (f"{min(alone):.0f} ms",)),
            Row(f"{module}: the first application that is wrapped, faults enabled", "", (f"{min(wrapping):.0f} ms",)),
            Row(f"{module} loads none of {', '.join(forbidden)}", "none", (", ".join(found) or "none",), not found),
        ]
    return Table(
        "Importing",
        f"Processor time; the fastest of {runs} new interpreters, with everything compiled before.",
        ("measured",),
        rows,
    )


def _import(first: str, second: str, cache: str) -> tuple[float, set[str]]:
    # Where the environment forbids to write byte code, compiling would be all that is measured.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = PROGRAM.format(first=first, second=second)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "PYTHONPYCACHEPREFIX": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    milliseconds, *modules = done.stdout.split()
    return float(milliseconds), set(modules)
