"""Whether prometheus-client works in multiprocess mode here, and what all processes together show. Writes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from prometheus_client import values
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


def is_multiprocess() -> bool:
    """Whether values live in files.

    The library decides by the environment when it is imported; what the variable says later makes no difference.
    """
    return values.ValueClass is not values.MutexValue


def directory_problem() -> str:
    """What about the variable keeps multiprocess mode from working; empty: nothing, or it is not asked for."""
    if not is_multiprocess():
        return ""
    directory = os.environ.get(VARIABLE) or os.environ.get(VARIABLE.lower())
    if not directory:
        return "is empty"
    if not Path(directory).is_dir():
        return f"names {directory!r}, which is not a directory"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"names {directory!r}, which this user cannot write to"
    return ""


def families_of_all_processes(prefixes: tuple[str, ...]) -> list[Metric]:
    """The families whose names begin with one of these, by name, combined over every process that wrote or writes."""
    collector = cast("Callable[[None], Collector]", MultiProcessCollector)  # the library gives it no types
    families = [family for family in collector(None).collect() if family.name.startswith(prefixes)]
    return sorted(families, key=lambda family: family.name)
