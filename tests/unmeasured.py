"""An environment for programs that fork while their threads are busy."""

from __future__ import annotations

import os


def unmeasured(**variables: str) -> dict[str, str]:
    """This process's environment, without what makes coverage measure programs that are started from it.

    Coverage guards what it has measured with a lock of its own, which each call of a function takes. A child that was
    forked while another thread held it waits for ever.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}
    return {**kept, **variables}
