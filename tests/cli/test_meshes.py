"""`faultware import` and `faultware export`."""

from __future__ import annotations

import io
import json

import pytest
import yaml

from tests.interop.kit import service

FAULT = "fault: {abort: {httpStatus: 503, percentage: {value: 20}}}"
PLAIN = service(f"{{{FAULT}, match: [{{uri: {{prefix: /pay}}}}]}}")
PORT = service(f"{{{FAULT}, match: [{{port: 80}}]}}", f"{{{FAULT}}}")


@pytest.fixture
def file(tmp_path):
    def write(text, name="vs.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_import_writes_the_document_and_says_the_rest_on_the_standard_error(run, file):
    path = file(PLAIN)
    result = run("import", path)
    assert result.code == 0
    (rule,) = yaml.safe_load(result.out)["rules"]
    assert (rule["match"], rule["percentage"]) == ({"raw_path": {"prefix": "/pay"}}, 20)
    assert result.err == f"{path}, line 4: spec.hosts: every request this service receives counts as one for shop\n"


def test_what_import_writes_is_read_as_the_same_rules(run, file):
    written = file(run("import", file(PORT)).out, "faults.yaml")
    *rules, verdict = run("validate", written).out.splitlines()
    assert (len(rules), verdict) == (2, "2 rules, all good")
    assert run("validate", file(PORT)).out.splitlines() == [*rules, "2 rules, 1 not carried over"]


@pytest.mark.parametrize(("text", "code"), [(PLAIN, 0), (PORT, 1)])
def test_strict_refuses_what_was_not_carried_over(run, file, text, code):
    result = run("import", "--strict", file(text))
    assert result.code == code
    assert yaml.safe_load(result.out)["rules"]
    assert ("not carried over" in result.err) is bool(code)


def test_import_answers_programs(run, file):
    result = run("import", "--json", file(PORT))
    answer = json.loads(result.out)
    assert (answer["from"], len(answer["rules"])) == ("istio", 2)
    assert [remark["carried_over"] for remark in answer["remarks"]] == [True, False]
    assert answer["remarks"][1]["field"] == "spec.http[0].match[0].port"
    assert result.err == ""


def test_import_takes_a_text_from_the_standard_input(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"abort": {"http_status": 503, "percentage": {"numerator": 5}}}'))
    assert yaml.safe_load(run("import", "--from", "envoy", "-").out)["rules"][0]["percentage"] == 5


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ([], [500]),
        (["--label", "app=web"], [503]),
        (["--label", "app=job", "--namespace", "x"], [500]),
    ],
)
def test_import_is_told_what_the_file_does_not_say(run, file, options, statuses):
    other = FAULT.replace("503", "500")
    path = file(service(f"{{{FAULT}, match: [{{sourceLabels: {{app: web}}}}]}}", f"{{{other}}}"))
    rules = yaml.safe_load(run("import", *options, path).out)["rules"]
    assert [rule["abort"]["status"] for rule in rules if "abort" in rule] == statuses


def test_runtime_keys_are_told_too(run, file):
    path = file('{"abort": {"http_status": 503, "percentage": {"numerator": 5}}}', "f.json")
    result = run("import", "--from", "envoy", "--runtime", "fault.http.abort.abort_percent=7", path)
    assert yaml.safe_load(result.out)["rules"][0]["percentage"] == 7


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["import", "FILE"], 1, "is not recognised (say whose it is: --from envoy|istio|apisix|toxiproxy)"),
        (["import", "--label", "web", "FILE"], 2, "--label web is no pair (write --label app=web)"),
        (["import", "/nowhere.yaml"], 1, "/nowhere.yaml: there is no such file"),
        (["import", "--runtime", "x", "FILE"], 1, "'x' is no key with its number"),
        (["import", "--from", "istio", "FILE"], 1, "line 1: there is no VirtualService here"),
        (["export", "--to", "envoy", "/pay 10 abort 503"], 1, "a share needs its sign"),
    ],
)
def test_mistakes_are_told(run, file, words, code, message):
    path = file("rules: /pay 10% abort 503\n")
    result = run(*[path if word == "FILE" else word for word in words])
    assert (result.code, result.out) == (code, "")
    assert message in result.err


@pytest.mark.parametrize(("to", "key"), [("envoy", "http_filters"), ("istio", "spec")])
def test_export_writes_the_meshs_own_document(run, to, key):
    result = run("export", "--to", to, "/pay 10% abort 503")
    assert (result.code, result.err) == (0, "")
    assert key in yaml.safe_load(result.out)


def test_export_says_what_is_not_carried_over(run):
    result = run("export", "--to", "istio", "--strict", "--host", "pay", "/pay 10% delay 1s±1ms as pay-slow")
    assert result.code == 1
    assert yaml.safe_load(result.out)["spec"]["hosts"] == ["pay"]
    assert result.err == "rule pay-slow: delay.jitter: not carried over: a delay of the mesh is fixed: 1000 ms\n"


def test_export_answers_programs(run):
    answer = json.loads(run("export", "--json", "--to", "envoy", "/pay 3x abort 503 as pay").out)
    assert answer["documents"] == []
    assert answer["remarks"][0]["field"] == "count"


def test_export_carries_the_bound_of_a_file_to_envoy_and_says_what_else_bounds_its_rules(run, file):
    path = file("rules: /pay 10% abort 503\nmax_active_faults: 3\nexclude: /a\nmark_responses: false\n", "own.yaml")
    known = "a setting of the service, which the mesh does not know"
    result = run("export", "--to", "envoy", path)
    assert yaml.safe_load(result.out)["http_filters"][0]["typed_config"]["max_active_faults"] == 3
    assert result.err == f"{path}: exclude: not carried over: {known}\n"
    again = run("import", file(result.out, "envoy.yaml"))
    assert yaml.safe_load(again.out)["max_active_faults"] == 3
    result = run("export", "--to", "istio", "--strict", path)
    assert result.code == 1
    assert result.err.splitlines() == [
        f"{path}: {name}: not carried over: {known}" for name in ("max_active_faults", "exclude")
    ]


def test_export_says_what_was_lost_already_when_the_file_was_imported(run, file):
    path = file(PORT)
    result = run("export", "--to", "envoy", "--strict", path)
    assert result.code == 1
    assert f"{path}, line 6: spec.http[0].match[0].port: not carried over: " in result.err


@pytest.mark.parametrize("command", [("import", "-"), ("export", "--to", "envoy", "-"), ("validate", "-")])
def test_what_comes_in_and_is_not_utf_8_is_refused(run, monkeypatch, command):
    for stream in (
        io.StringIO("rules: \udcff"),
        io.TextIOWrapper(io.BytesIO(b"rules: \xff"), encoding="utf-8"),
    ):
        monkeypatch.setattr("sys.stdin", stream)
        result = run(*command)
        assert (result.code, result.out) == (1, "")
        assert result.err == "faultware: standard input: this is not UTF-8 (send UTF-8)\n"


def test_yaml_in_braces_may_come_in(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("{abort: {http_status: 503, percentage: {numerator: 5}}}"))
    assert yaml.safe_load(run("import", "--from", "envoy", "-").out)["rules"][0]["percentage"] == 5


def test_validate_says_what_an_import_has_lost(run, file):
    path = file(service(f"{{{FAULT}, match: [{{port: 80}}]}}"))
    result = run("validate", path)
    assert (result.code, result.out) == (0, "0 rules, 1 not carried over\n")
    assert "match[0].port: not carried over: " in result.err
    assert [one["carried_over"] for one in json.loads(run("validate", "--json", path).out)["remarks"]] == [True, False]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_import_writes_can_be_sent_on_to_export(run, file, monkeypatch, as_json):
    bounded = json.dumps({"abort": {"http_status": 503, "percentage": {"numerator": 5}}, "max_active_faults": 7})
    written = run("import", "--from", "envoy", file(bounded, "f.json")).out
    text = json.dumps(yaml.safe_load(written)) if as_json else f"# ours\n\n{written}"
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    result = run("export", "--to", "envoy", "-")
    (config, _) = yaml.safe_load(result.out)["http_filters"]
    assert (config["typed_config"]["max_active_faults"], result.err) == (7, "")
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert "standard input: max_active_faults: not carried over" in run("export", "--to", "istio", "-").err


def test_a_document_of_a_mesh_may_come_in_too(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PORT))
    result = run("export", "--to", "envoy", "-")
    assert "standard input, line 6: spec.http[0].match[0].port: not carried over" in result.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: /a 10% abort 600", "abort needs a status from 200 to 599"),
        ("ruless: /a 10% abort 500", "standard input: unknown key 'ruless' (did you mean rules?)"),
        ("environ: {}\nrules: /a 10% abort 500", "standard input: unknown key 'environ'"),
        ("- [", "standard input, line 1, column 4: this YAML is not read"),
        ('{"', "standard input, line 1, column 2: this is not JSON"),
        ("max_active_faults: x\nrules: /a 10% abort 500", "max_active_faults=: 'x' is not a whole number"),
    ],
)
def test_mistakes_in_what_comes_in_are_told(run, monkeypatch, text, message):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    result = run("export", "--to", "envoy", "-")
    assert (result.code, result.out) == (1, "")
    assert message in result.err


def test_one_meshs_document_becomes_another_ones(run, file):
    result = run("export", "--to", "envoy", file(PLAIN))
    assert result.code == 0
    assert file(result.out, "envoy.yaml")
    again = run("export", "--to", "istio", file(result.out, "envoy.yaml"))
    assert yaml.safe_load(again.out)["spec"]["http"][0]["match"] == [{"uri": {"prefix": "/pay"}}]
