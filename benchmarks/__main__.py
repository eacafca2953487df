"""Runs the benchmarks and prints their tables: `python -m benchmarks [--quick] [name …]`."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.report import machine

NAMES = ("micro", "imports", "endtoend", "held", "kill", "workers", "shaping", "mesh")


def main() -> int:
    """Run what is asked for; the status is 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"which ones: {', '.join(NAMES)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: shows that they run, and no more")
    given = parser.parse_args()
    if unknown := sorted(set(given.name) - set(NAMES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    print(f"Measured on {machine()}.\n", flush=True)
    missed = 0
    for name in given.name or NAMES:
        for table in importlib.import_module(f"benchmarks.{name}").run(quick=given.quick):
            print(table, flush=True)
            missed += sum(row.is_met is False for row in table.rows)
    return 1 if missed and not given.quick else 0


if __name__ == "__main__":
    sys.exit(main())
