import gc
import logging
import threading
import weakref

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from telemetry_source import HandMade, live_rule

from faultware import __version__
from faultware.errors import SettingsError
from faultware.telemetry import prometheus
from faultware.telemetry.prometheus import MAX_RULE_LABELS, Metrics


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


def test_a_registry_has_one_object_and_another_registry_another(registry):
    assert Metrics.on(registry) is Metrics.on(registry)
    assert Metrics.on(registry) is not Metrics.on(CollectorRegistry())


def test_without_a_registry_the_library_s_own_is_used(monkeypatch, registry):
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    assert Metrics.on() is Metrics.on(registry)


def test_metrics_go_with_their_registry():
    registry = CollectorRegistry()
    gone = weakref.ref(Metrics.on(registry))
    del registry
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("auto_describe", [True, False])
def test_registration_counts_nothing_and_owns_every_name(auto_describe):
    registry = CollectorRegistry(auto_describe=auto_describe)
    Metrics.on(registry)
    assert set(registry._names_to_collectors) >= {
        "faultware_faults_injected_total",
        "faultware_rule_matches_total",
        "faultware_rule_rolls_total",
        "faultware_faults_suppressed_total",
        "faultware_injected_delay_seconds_bucket",
        "faultware_active_faults",
        "faultware_armed",
        "faultware_rules",
        "faultware_config_generation",
        "faultware_config_last_reload_successful",
        "faultware_config_last_reload_success_timestamp_seconds",
        "faultware_internal_errors_total",
        "faultware_build_info",
    }


@pytest.mark.parametrize(
    "make",
    [lambda r: Gauge("faultware_armed", "x", registry=r), lambda r: Counter("faultware_rule_matches", "x", registry=r)],
)
def test_a_name_that_somebody_else_registered_is_a_clear_error_and_leaves_nothing_behind(registry, make):
    make(registry)
    before = dict(registry._names_to_collectors)
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"^registry: .*faultware_.* \(give .*registry=CollectorRegistry"):
            Metrics.on(registry)
    assert registry._names_to_collectors == before


def test_a_scrape_shows_what_requests_counted_without_any_flush(registry, source):
    tally = source.live[0].tally
    tally.matched, tally.rolled = 10, 9
    tally.injected["abort"] = 3
    tally.suppressed["expired"] = 2
    source.errors["decide"] = 4
    value = registry.get_sample_value
    assert value("faultware_rule_matches_total", {"rule": "pay"}) == 10
    assert value("faultware_rule_rolls_total", {"rule": "pay"}) == 9
    assert value("faultware_faults_injected_total", {"rule": "pay", "fault": "abort"}) == 3
    assert value("faultware_faults_suppressed_total", {"rule": "pay", "reason": "expired"}) == 2
    assert value("faultware_internal_errors_total", {"stage": "decide"}) == 4
    assert value("faultware_build_info", {"version": __version__}) == 1


def test_a_scrape_restricted_to_a_name_is_up_to_date_too(registry, source):
    source.request(5)
    restricted = registry.restricted_registry(["faultware_rule_matches_total"])
    text = generate_latest(restricted).decode()
    assert 'faultware_rule_matches_total{rule="pay"} 5.0' in text
    assert "armed" not in text


def test_a_metric_of_the_application_stays_in_the_scrape(registry, source):
    Counter("orders", "Orders.", registry=registry).inc()
    assert b"orders_total 1.0" in generate_latest(registry)


def test_many_flushes_count_everything_once(registry, metrics, source):
    for _ in range(5):
        source.request(2)
        metrics.flush()
        metrics.flush()
        generate_latest(registry)
    source.errors["decide"] = 1
    metrics.flush()
    source.errors["decide"] = 3
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 10
    assert registry.get_sample_value("faultware_internal_errors_total", {"stage": "decide"}) == 3


def test_series_of_a_loaded_rule_begin_at_0(registry, source):
    for labels in ({"rule": "pay"}, {"rule": "search"}):
        assert registry.get_sample_value("faultware_rule_matches_total", labels) == 0
        assert registry.get_sample_value("faultware_faults_injected_total", {**labels, "fault": "abort"}) == 0


def test_a_tally_that_moves_to_a_new_rule_set_is_not_counted_again(registry, metrics, source):
    source.request(4)
    metrics.flush()
    source.live = (live_rule("pay", source.live[0].tally),)
    source.request(1)
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 5


def test_a_replaced_tally_of_the_same_rule_adds_to_its_series(registry, metrics, source):
    source.request(4)
    metrics.flush()
    source.live = (live_rule("pay"),)
    source.request(3)
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 7


def test_what_a_removed_rule_counted_last_is_not_lost(registry, metrics, source):
    metrics.flush()
    source.request(4)
    source.live = ()
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 4


def test_a_held_request_still_counts_into_a_rule_that_was_removed(registry, metrics, source):
    source.request(4)
    metrics.flush()
    held = source.live[0].tally
    source.live = (live_rule("other-rule"),)
    metrics.flush()
    metrics.flush()
    held.suppressed["killed"] += 1
    labels = {"rule": "pay", "reason": "killed"}
    assert registry.get_sample_value("faultware_faults_suppressed_total", labels) == 1


def test_a_removed_rule_that_comes_back_with_its_tally_is_not_counted_again(registry, metrics, source):
    source.request(4)
    before = source.live
    metrics.flush()
    source.live = ()
    metrics.flush()
    source.live = before
    source.request(1)
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 5
    assert metrics._retired == {}


def test_a_rule_that_two_sources_share_is_counted_once_even_when_one_drops_it(registry, metrics, source, monkeypatch):
    monkeypatch.setattr(prometheus, "MAX_RETIRED", 1)
    other = HandMade()
    other.live = tuple(source.live)
    metrics.watch(other)
    source.request(4, 0)
    source.request(4, 1)
    metrics.flush()
    other.live = ()
    metrics.flush()
    source.request(1, 0)
    source.request(1, 1)
    for name in ("pay", "search"):
        assert registry.get_sample_value("faultware_rule_matches_total", {"rule": name}) == 5


def test_only_so_many_removed_rules_are_remembered_and_none_loses_its_counts(registry, metrics, source):
    for number in range(1300):
        source.live = (live_rule(f"r{number}"),)
        source.request(1)
        metrics.flush()
    source.live = ()
    metrics.flush()
    assert len(metrics._retired) == len(metrics._flushed) == prometheus.MAX_RETIRED
    text = generate_latest(registry).decode()
    counted = [line for line in text.splitlines() if line.startswith("faultware_rule_matches_total{")]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == 1300


def test_a_source_that_is_gone_leaves_its_counts_and_takes_its_gauges(registry, metrics):
    source = HandMade("pay")
    metrics.watch(source)
    metrics.flush()
    source.request(4)
    del source
    gc.collect()
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 4
    assert registry.get_sample_value("faultware_armed") == 0
    assert registry.get_sample_value("faultware_rules") == 0
    assert metrics._watched == []


def test_several_sources_are_combined_and_a_second_watch_changes_nothing(registry, metrics, source):
    other = HandMade("pay")
    metrics.watch(other)
    metrics.watch(source)
    source.active_faults, other.active_faults = 3, 4
    source.armed, other.armed = False, True
    source.generation, other.generation = 9, 8
    source.is_reloaded, other.is_reloaded = True, False
    source.reloaded_at, other.reloaded_at = 2000.0, 1500.0
    source.request(2)
    other.request(3)
    value = registry.get_sample_value
    assert value("faultware_active_faults") == 7
    assert value("faultware_armed") == 1
    assert value("faultware_rules") == 3
    assert value("faultware_config_generation") == 8
    assert value("faultware_config_last_reload_successful") == 0
    assert value("faultware_config_last_reload_success_timestamp_seconds") == 1500
    assert value("faultware_rule_matches_total", {"rule": "pay"}) == 5
    other.armed = False
    assert value("faultware_armed") == 0


def test_nothing_is_shown_before_anything_is_watched(registry, metrics):
    assert registry.get_sample_value("faultware_armed") is None


def test_delays_are_observed_at_once(registry, metrics):
    for seconds in (0.2, 0.2, 40):
        metrics.observe_delay("slow", seconds)
    value = registry.get_sample_value
    assert value("faultware_injected_delay_seconds_count", {"rule": "slow"}) == 3
    assert value("faultware_injected_delay_seconds_sum", {"rule": "slow"}) == pytest.approx(40.4)
    assert value("faultware_injected_delay_seconds_bucket", {"rule": "slow", "le": "0.25"}) == 2
    assert value("faultware_injected_delay_seconds_bucket", {"rule": "slow", "le": "30.0"}) == 2
    assert value("faultware_injected_delay_seconds_bucket", {"rule": "slow", "le": "0.005"}) == 0


def test_rules_beyond_a_thousand_share_the_label_other(registry, metrics):
    source = HandMade(*(f"r{number}" for number in range(1200)))
    metrics.watch(source)
    for index in range(1200):
        source.request(1, index)
    metrics.flush()
    metrics.observe_delay("r3", 1)
    metrics.observe_delay("r1100", 1)
    value = registry.get_sample_value
    assert value("faultware_rule_matches_total", {"rule": "r999"}) == 1
    assert value("faultware_rule_matches_total", {"rule": "r1100"}) is None
    assert value("faultware_rule_matches_total", {"rule": "other"}) == 200
    assert value("faultware_injected_delay_seconds_count", {"rule": "other"}) == 1
    assert value("faultware_injected_delay_seconds_count", {"rule": "r3"}) == 1
    names = {
        sample.labels["rule"] for family in registry.collect() for sample in family.samples if "rule" in sample.labels
    }
    assert len(names) == MAX_RULE_LABELS + 1


def test_ten_thousand_rules_that_never_match_take_no_labels(registry, metrics):
    source = HandMade(*(f"r{number}" for number in range(10_000)))
    metrics.watch(source)
    source.request(1, 9_999)
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "r9999"}) == 1
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "r1"}) is None


def test_a_failing_flush_is_logged_once_loses_nothing_and_leaves_the_scrape_alive(registry, metrics, source, caplog):
    source.request(2)
    readings = source.readings
    source.readings = lambda: 1 / 0
    for _ in range(3):
        assert b"faultware_rule_matches_total" in generate_latest(registry)
    assert [record.getMessage() for record in caplog.records] == ["metrics cannot be brought up to date"]
    source.readings = readings
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 2
    source.readings = lambda: 1 / 0
    metrics.flush()
    assert len(caplog.records) == 2


def test_a_flush_that_fails_in_the_library_is_made_up_for_by_the_next(registry, metrics, source, monkeypatch, caplog):
    metrics.flush()
    source.request(3)
    held = source.live[0]
    source.live = (live_rule("search"),)
    monkeypatch.setattr(Counter, "inc", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    metrics.flush()
    monkeypatch.undo()
    held.tally.matched += 1
    source.request(5)
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 4
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "search"}) == 5
    assert len(caplog.records) == 1


def test_a_flush_within_a_flush_counts_nothing_twice(registry, metrics, source, monkeypatch):
    metrics.flush()
    source.request(3)
    inc = Counter.inc

    def interrupted(counter, amount):
        monkeypatch.setattr(Counter, "inc", inc)
        metrics.flush()
        inc(counter, amount)

    monkeypatch.setattr(Counter, "inc", interrupted)
    metrics.flush()
    assert registry.get_sample_value("faultware_faults_injected_total", {"rule": "pay", "fault": "abort"}) == 3
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 3


def test_threads_that_flush_and_count_at_the_same_time_lose_nothing(registry, metrics):
    sources = [HandMade("pay") for _ in range(4)]
    for source in sources:
        metrics.watch(source)

    def work(source):
        for number in range(300):
            source.request(1)
            source.live[0].tally.suppressed[f"reason-{number % 40}"] += 1
            if number % 3 == 0:
                metrics.flush()

    threads = [threading.Thread(target=work, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.get_sample_value("faultware_rule_matches_total", {"rule": "pay"}) == 1200
    assert registry.get_sample_value("faultware_faults_injected_total", {"rule": "pay", "fault": "abort"}) == 1200
    text = generate_latest(registry).decode()
    suppressed = [line for line in text.splitlines() if line.startswith("faultware_faults_suppressed_total{")]
    assert sum(float(line.rpartition(" ")[2]) for line in suppressed) == 1200


def test_no_log_line_is_written_when_all_goes_well(caplog, registry, metrics, source):
    caplog.set_level(logging.DEBUG, logger="faultware")
    generate_latest(registry)
    metrics.render("")
    assert caplog.records == []
