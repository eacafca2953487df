"""How metrics are shown: in which format, and nobody else's."""

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from telemetry_source import HandMade

from faultware.telemetry.prometheus import Metrics


@pytest.fixture
def registry():
    return CollectorRegistry(auto_describe=True)


@pytest.fixture
def metrics(registry):
    return Metrics.on(registry)


@pytest.fixture
def source(metrics):
    source = HandMade("pay", "search")
    metrics.watch(source)
    return source


def test_rendering_shows_faultware_s_families_only_and_is_up_to_date(registry, metrics, source):
    Counter("orders", "Orders.", registry=registry).inc()
    source.request(2)
    body, content_type = metrics.render("")
    assert content_type.startswith("text/plain; version=0.0.4")
    assert 'faultware_rule_matches_total{rule="pay"} 2.0' in body.decode()
    assert b"orders" not in body
    assert all(
        line.startswith(("faultware_", "# HELP faultware_", "# TYPE faultware_")) for line in body.decode().splitlines()
    )


def test_rendering_speaks_openmetrics_to_those_who_ask(metrics, source):
    source.request(2)
    metrics.observe_delay("pay", 0.2)
    body, content_type = metrics.render("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert body.endswith(b"# EOF\n")
    families = {family.name: family.type for family in text_string_to_metric_families(body.decode())}
    assert families["faultware_rule_matches"] == "counter"
    assert families["faultware_injected_delay_seconds"] == "histogram"
    assert families["faultware_armed"] == "gauge"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "text/html, */*;q=0.1",
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=1.0.x",
        "application/openmetrics-text; version=9.<script>",
        'application/openmetrics-text; version="1.0.0"',
        "text/plain; version=" + "9" * 5000,
        "text/plain;version=1.0.0\xe9",
        ";;;,,,===",
        "application/openmetrics-text; version=9",
        "application/openmetrics-text; version=2.0.0; escaping=nonsense",
    ],
)
def test_no_accept_header_breaks_rendering_or_reaches_the_content_type(metrics, source, accept):
    body, content_type = metrics.render(accept)
    assert b"faultware_armed 1.0" in body
    assert content_type.isascii()
    assert "script" not in content_type
    assert len(content_type) < 120
