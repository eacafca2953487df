"""A delay that is longer than a request is held here unless the settings say more."""

from __future__ import annotations

import pytest

from faultware.interop.load import import_text
from tests.interop.kit import said, service, toxics

HELD = "held no longer than FAULTWARE_MAX_DELAY, which is 30s unless it says more"


def envoy(seconds):
    filters = f"{{fixed_delay: {seconds}s, percentage: {{numerator: 1}}}}"
    return import_text(f"{{delay: {filters}}}", "f.yaml", origin="envoy")


def istio(seconds):
    fault = f"{{fault: {{delay: {{fixedDelay: {seconds}s, percentage: {{value: 1}}}}}}}}"
    return import_text(service(fault), "f.yaml")


def apisix(seconds):
    return import_text(f"{{delay: {{duration: {seconds}, percentage: 1}}}}", "f.yaml", origin="apisix")


def toxic(kind, **attributes):
    return lambda seconds: toxics({"type": kind, "attributes": {"timeout": 1000 * seconds, **attributes}})


def latency(seconds):
    return toxics({"type": "latency", "attributes": {"latency": 1000 * (seconds - 1), "jitter": 1000}})


@pytest.mark.parametrize("read", [envoy, istio, apisix, latency, toxic("timeout"), toxic("reset_peer")])
def test_a_delay_that_is_cut_is_said(read):
    assert [remark for remark in said(read(31)) if remark.endswith(HELD)]
    assert not [remark for remark in said(read(30)) if HELD in remark]
    assert not read(31).losses
