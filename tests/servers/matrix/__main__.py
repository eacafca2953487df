"""Looks at all servers again, or at those that are named, and writes the page: `python -m tests.servers.matrix`."""

from __future__ import annotations

import sys

from tests.servers.matrix.columns import SERVERS
from tests.servers.matrix.observing import observe
from tests.servers.matrix.page import load, save

if __name__ == "__main__":
    matrix = load()
    for label in sys.argv[1:] or SERVERS:
        print(label, flush=True)
        matrix[label] = observe(label)
        save(matrix)
