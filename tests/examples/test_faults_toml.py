"""The fault files beside the examples are valid, and say what the read-me files promise."""

from __future__ import annotations

import pytest

from faultware import Abort, Delay, PathMatch, SampleBy
from faultware.config.loading import load_settings
from tests.servers.harness import ROOT


@pytest.mark.parametrize("example", ["fastapi_app", "flask_app"])
def test_the_fault_file_of_an_example_reads_as_three_rules(example):
    path = ROOT / "examples" / example / "faults.toml"
    settings = load_settings({"FAULTWARE_ENABLED": "true", "FAULTWARE_CONFIG_FILE": str(path)})
    assert settings.max_delay == 5
    payments, search, stream = settings.rules

    assert (payments.name, payments.percentage, payments.match.methods) == ("payments-503", 10, {"POST"})
    assert isinstance(payments.abort, Abort)
    assert payments.abort.status == 503
    assert payments.abort.body == b'{"detail":"the payment provider is not available"}'
    assert payments.abort.headers == (("retry-after", "1"),)
    assert (search.name, search.percentage) == ("search-slow", 30)
    assert search.delay == Delay(0.2, jitter_seconds=0.05)
    assert stream.match.path == PathMatch(segments="/stream")
    assert stream.sample_by == SampleBy.parse("header:x-customer")


def test_nothing_of_an_example_is_faulted_unless_faults_are_enabled():
    path = ROOT / "examples" / "fastapi_app" / "faults.toml"
    assert not load_settings({"FAULTWARE_CONFIG_FILE": str(path)}).enabled
