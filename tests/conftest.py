"""What holds for all tests: a clean environment, and Hypothesis without a clock."""

from __future__ import annotations

import gc
import os
import threading
import weakref

from hypothesis import HealthCheck, settings

# A developer's own settings must not decide a test.
for name in [name for name in os.environ if name.startswith(("FAULTWARE_", "PROMETHEUS_"))]:
    del os.environ[name]

# A slow machine is no reason to fail. `HYPOTHESIS_PROFILE=thorough` looks further than the everyday run.
SLOW_IS_FINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("everyday", max_examples=50, **SLOW_IS_FINE)
settings.register_profile("thorough", max_examples=1000, **SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "everyday"))


_stay = weakref.WeakSet()


def let_threads_end(patience_seconds=2.0):
    """Wait until the threads of stores that earlier tests have used are gone, and with them their descriptors.

    A store that somebody still holds keeps its threads: each of these is waited for once.
    """
    waiting = [thread for thread in threading.enumerate() if _has_descriptors(thread) and thread not in _stay]
    if waiting:
        gc.collect()
        for thread in waiting:
            thread.join(patience_seconds)
        _stay.update(waiting)


def _has_descriptors(thread):
    return thread.name.startswith(("faultware-redis", "faultware-bell"))


def pytest_terminal_summary(terminalreporter):
    """Print what tests have measured (`record_property("measured", text)`)."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, text in report.user_properties:
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(f"measured: {text}")
