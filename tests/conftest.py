"""What holds for all tests: a clean environment, and Hypothesis without a clock."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A developer's own settings must not decide a test.
for name in [name for name in os.environ if name.startswith(("FAULTWARE_", "PROMETHEUS_"))]:
    del os.environ[name]

# A slow machine is no reason to fail.
settings.register_profile("faultware", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("faultware")
