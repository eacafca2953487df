"""What holds for all tests: a clean environment, and Hypothesis without a clock."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A developer's own settings must not decide a test.
for name in [name for name in os.environ if name.startswith(("FAULTWARE_", "PROMETHEUS_"))]:
    del os.environ[name]

# A slow machine is no reason to fail. `HYPOTHESIS_PROFILE=thorough` looks further than the everyday run.
SLOW_IS_FINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("everyday", max_examples=50, **SLOW_IS_FINE)
settings.register_profile("thorough", max_examples=1000, **SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "everyday"))


def pytest_terminal_summary(terminalreporter):
    """Print what tests have measured (`record_property("measured", text)`)."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, text in report.user_properties:
            if name == "measured" and report.when == "call":
                terminalreporter.write_line(f"measured: {text}")
