"""What holds for all tests: a clean environment, no thread that acts by itself, Hypothesis without clock or chance."""

from __future__ import annotations

import gc
import os
import threading
import weakref

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings
from hypothesis.internal.conjecture import providers

from faultware.runtime import injector
from tests.runtime.kit import StillRefresher

# A developer's own settings must not decide a test.
for name in [name for name in os.environ if name.startswith(("FAULTWARE_", "PROMETHEUS_"))]:
    del os.environ[name]

# A slow machine is no reason to fail, and nor is a new example in an everyday run: whoever changes something else could
# not know why. `HYPOTHESIS_PROFILE=thorough` looks further, at other examples each time.
SLOW_IS_FINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("everyday", max_examples=50, derandomize=True, **SLOW_IS_FINE)
settings.register_profile("thorough", max_examples=1000, **SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "everyday"))
if settings.default.derandomize:
    # Hypothesis tries the constants of those of our modules that are loaded by then as well: in which order the tests
    # run, on which worker, and every change anywhere would give all tests other examples.
    providers._get_local_constants = providers.Constants


@pytest.fixture
def refreshed():
    """The services of this test have the thread that looks at the switch, as all have in production."""


@pytest.fixture(autouse=True)
def ticks_are_the_tests_own(request, monkeypatch):
    """No thread of a service ticks beside a test that is not `refreshed`: what it sees would depend on who is first."""
    if "refreshed" not in request.fixturenames:
        monkeypatch.setattr(injector, "Refresher", StillRefresher)


@pytest.fixture(autouse=True)
def nobody_else_rolls(request):
    """Hypothesis takes a thread that rolls the global dice while it draws for a strategy that does so, and complains.

    The client of a cluster chooses a node by chance: who asks it must be gone.
    """
    if is_hypothesis_test(request.function):
        let_threads_end()


_stay = weakref.WeakSet()


def let_threads_end(patience_seconds=10.0):
    """Wait until the threads of stores and listeners of earlier tests are gone, and with them their descriptors.

    Who is still held by somebody keeps its threads: each of these is waited for once.
    """
    waiting = [thread for thread in threading.enumerate() if _has_descriptors(thread) and thread not in _stay]
    if waiting:
        gc.collect()
        for thread in waiting:
            thread.join(patience_seconds)
        _stay.update(waiting)


def _has_descriptors(thread):
    # The last ones are of socketserver.
    return thread.name.startswith(("faultware-redis", "faultware-bell", "faultware-control")) or (
        "process_request" in thread.name
    )


def pytest_terminal_summary(terminalreporter):
    """Print what tests have measured (`record_property("measured", text)`)."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, text in report.user_properties:
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(f"measured: {text}")
