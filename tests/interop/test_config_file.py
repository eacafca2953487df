"""`FAULTWARE_CONFIG_FILE` names a file of a mesh, or of Toxiproxy: it is recognised, and nothing else changes."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from faultware.errors import SettingsError
from faultware.runtime.build import build
from tests.asgi import server as asgi
from tests.interop.families import ABORT
from tests.interop.kit import chain, service
from tests.wsgi.server import Application, ask, wrapped

FAULT = "fault: {abort: {httpStatus: 503, percentage: {value: 20}}}"
DOCUMENTS = {
    "virtual-service.yaml": service(f"{{{FAULT}}}"),
    "filter.json": json.dumps(chain(("pay", {"abort": ABORT, "max_active_faults": 7}))),
    "toxics.json": '[{"name": "db", "upstream": "b:1", "toxics": [{"type": "bandwidth", "attributes": {"rate": 1}}]}]',
    "apisix.yaml": "routes: [{uri: /a, plugins: {fault-injection: {delay: {duration: 1}}}}]",
    "ours.yaml": "rules: /pay 10% abort 503\nmax_active_faults: 3\n",
    "ours.json": '{"rules": [{"match": {"headers": {"upstream": "a"}}, "percentage": 10, "abort": 503}]}',
}


@pytest.fixture
def start(tmp_path):
    def build_with(name, text=None, **variables):
        file = tmp_path / name
        file.write_text(DOCUMENTS[name] if text is None else text)
        environ = {"FAULTWARE_ENABLED": "true", "FAULTWARE_CONFIG_FILE": str(file), "FAULTWARE_STORE": "memory:"}
        return build({"environ": {**environ, **variables}, "registry": CollectorRegistry()})

    return build_with


@pytest.mark.parametrize(
    ("name", "kinds", "bound"),
    [
        ("virtual-service.yaml", ["abort"], 100),
        ("filter.json", ["abort"], 7),
        ("toxics.json", ["throttle"], 100),
        ("apisix.yaml", ["delay"], 100),
        ("ours.yaml", ["abort"], 3),
        ("ours.json", ["abort"], 100),
    ],
)
def test_a_file_is_recognised_by_what_only_its_format_has(start, name, kinds, bound):
    service_ = start(name)
    assert [fault.kind for live in service_.injector.live_rules() for fault in live.rule.faults] == kinds
    assert service_.settings.max_active_faults == bound


def test_variables_win_over_what_a_foreign_file_says(start):
    service_ = start("filter.json", FAULTWARE_MAX_ACTIVE_FAULTS="5", FAULTWARE_RULES="/a 1% abort 500 as mine")
    assert [live.rule.name for live in service_.injector.live_rules()] == ["mine"]
    assert service_.settings.max_active_faults == 5


def test_runtime_keys_of_envoy_are_a_setting(start):
    service_ = start(
        "filter.json", FAULTWARE_ENVOY_RUNTIME="fault.http.abort.abort_percent=3, fault.http.abort.http_status=500"
    )
    (live,) = service_.injector.live_rules()
    assert (live.rule.percentage, live.rule.abort.status) == (3, 500)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("abort_percent", "'abort_percent' is no key with its number (fault.http.abort.abort_percent=10)"),
        ("a=b", "'a=b' is no key with its number (fault.http.abort.abort_percent=10)"),
        ("a b=1", "'a b' is not a runtime key (such as fault.http.abort.abort_percent)"),
        ("a=4294967296", "4294967296 is not possible for a (a whole number from 0 to 4294967295)"),
    ],
)
def test_wrong_runtime_keys_are_told(start, value, message):
    with pytest.raises(SettingsError) as caught:
        start("filter.json", FAULTWARE_ENVOY_RUNTIME=value)
    assert str(caught.value) == f"FAULTWARE_ENVOY_RUNTIME: {message}"


def test_a_wrong_foreign_file_stops_the_start_and_names_the_place(start, tmp_path):
    text = service("{fault: {abort: {httpStatus: 700, percentage: {value: 20}}}}")
    with pytest.raises(SettingsError) as caught:
        start("virtual-service.yaml", text)
    where = f"FAULTWARE_CONFIG_FILE: {tmp_path}/virtual-service.yaml, line 6: spec.http[0].fault.abort.httpStatus"
    assert str(caught.value) == f"{where}: 700 is not possible (200 to 599)"


def test_what_was_not_carried_over_is_said_at_the_start(start, caplog):
    caplog.set_level(logging.INFO, "faultware")
    start("virtual-service.yaml", service(f"{{{FAULT}, match: [{{port: 80}}]}}", f"{{{FAULT}}}"))
    said = [(record.levelname, record.getMessage().partition("virtual-service.yaml")[2]) for record in caplog.records]
    lost = "the port a request was sent to is known to the mesh only; what else this block matches is spared"
    assert said[:3] == [
        ("WARNING", " is read as Istio's: 2 rules, 1 things not carried over"),
        ("INFO", ", line 4: spec.hosts: every request this service receives counts as one for shop"),
        ("WARNING", f", line 6: spec.http[0].match[0].port: not carried over: {lost}"),
    ]


def test_a_service_that_is_not_enabled_does_not_look_at_its_file(tmp_path):
    environ = {"FAULTWARE_ENABLED": "false", "FAULTWARE_CONFIG_FILE": str(tmp_path / "nothing.yaml")}
    assert build({"environ": environ}) is None


def test_importing_a_middleware_loads_nothing_of_this():
    for protocol in ("asgi", "wsgi"):
        look = "[name for name in sys.modules if 'interop' in name or name == 'yaml']"
        code = f"import faultware.{protocol}, sys; print({look})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"


def started(**variables):
    environ = {"FAULTWARE_ENABLED": "true", "FAULTWARE_STORE": "memory:", **variables}
    registry = CollectorRegistry()
    return build({"environ": environ, "registry": registry}), registry


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"ENVOY_HEADERS": "true"},
            "FAULTWARE_ENVOY_HEADERS: nobody is trusted to send them (set FAULTWARE_ENVOY_HEADERS_FROM to addresses",
        ),
        ({"ENVOY_HEADERS": "perhaps"}, "FAULTWARE_ENVOY_HEADERS: 'perhaps' is neither on nor off"),
        ({"ENVOY_HEADERS_FROM": "here"}, "FAULTWARE_ENVOY_HEADERS_FROM: 'here' is no address and no network"),
        ({"ENVOY_HEADERS_FROM": "*, ::1"}, "FAULTWARE_ENVOY_HEADERS_FROM: * is everybody (leave the others out)"),
        ({"STATS_STYLE": "istio"}, "FAULTWARE_STATS_STYLE: 'istio' is not a style (envoy, or nothing)"),
    ],
)
def test_wrong_settings_are_told(variables, message):
    with pytest.raises(SettingsError) as caught:
        started(**{f"FAULTWARE_{name}": value for name, value in variables.items()})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("variables", "client", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({"ENVOY_HEADERS_FROM": "*"}, "127.0.0.1", 200),
        ({"ENVOY_HEADERS": "on", "ENVOY_HEADERS_FROM": "127.0.0.0/8, ::1"}, "127.0.0.1", 503),
        ({"ENVOY_HEADERS": "on", "ENVOY_HEADERS_FROM": "127.0.0.0/8, ::1"}, "10.0.0.1", 200),
        ({"ENVOY_HEADERS": "on", "ENVOY_HEADERS_FROM": "127.0.0.0/8, ::1"}, "", 200),
        ({"ENVOY_HEADERS": "on", "ENVOY_HEADERS_FROM": "*"}, "10.0.0.1", 503),
    ],
)
def test_headers_are_heeded_where_they_are_switched_on_and_their_sender_is_trusted(variables, client, status):
    rules = '[{"percentage": 100, "by_headers": {"abort": 100}}]'
    environ = {f"FAULTWARE_{name}": value for name, value in variables.items()}
    app = wrapped(Application(), environ={**environ, "FAULTWARE_RULES": rules})
    asking = [("x-envoy-fault-abort-request", "503")]
    assert ask(app, "/", headers=asking, client=client).status == status
    assert ask(app, "/", client=client).status == 200
    same = asgi.wrapped(asgi.Application(), None, environ={**environ, "FAULTWARE_RULES": rules})
    assert asyncio.run(asgi.ask(same, "/", headers=asking, client=client)).status == status


def test_envoys_counters_are_shown_where_they_are_asked_for():
    service_, registry = started(FAULTWARE_STATS_STYLE="envoy")
    assert b"envoy_http_fault_aborts_injected" in generate_latest(registry)
    _, registry = started()
    assert b"envoy" not in generate_latest(registry)
    assert service_.settings.stats_style == "envoy"
