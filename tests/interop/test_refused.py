"""What a person sees whose foreign document is wrong. The tables in `refused` hold documents and whole messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from faultware.errors import MissingExtraError, RuleError
from faultware.interop.load import import_file, import_text
from faultware.interop.tree import MAX_BYTES, MAX_DEPTH, read_tree

TABLES = Path(__file__).parent / "refused"


def rows(name):
    """The name of the original, a document, and the message behind its arrows."""
    found = []
    for line in (TABLES / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("→ "):
            found[-1][2].append(line.removeprefix("→ "))
        else:
            found.append((name, line, []))
    return [(origin, text, "\n".join(message)) for origin, text, message in found]


def refusal(text, origin=None, *, file="f.yaml"):
    with pytest.raises(RuleError) as caught:
        import_text(text, file, is_json=file.endswith(".json"), origin=origin)
    return str(caught.value)


@pytest.mark.parametrize(
    ("origin", "text", "message"), [*rows("envoy"), *rows("istio"), *rows("apisix"), *rows("toxiproxy")]
)
def test_a_wrong_document_is_told_with_file_line_and_field(origin, text, message):
    assert refusal(text, origin, file="f.json" if origin == "toxiproxy" else "f.yaml") == message


def test_lines_are_counted_through_several_documents():
    text = """\
apiVersion: v1
kind: Service
---
apiVersion: networking.istio.io/v1
kind: VirtualService
spec:
  hosts: [shop]
  http:
  - fault:
      abort:
        httpStatus: 700
"""
    assert refusal(text) == "f.yaml, line 11: spec.http[0].fault.abort.httpStatus: 700 is not possible (200 to 599)"


def test_lines_of_json_are_counted_too():
    text = '[\n{"name": "a",\n"upstream": "b:1",\n"toxics": [\n{"type": "latency",\n"attributes": {"latency":\n"1"}}]}]'
    message = "f.json, line 7: [0].toxics[0].attributes.latency: '1' is not a whole number"
    assert refusal(text, file="f.json").startswith(message)


def test_all_mistakes_are_told_together_and_nothing_is_loaded():
    text = """\
http_filters:
- {name: envoy.filters.http.fault, typed_config: {"@type": TYPE, abort: {http_status: 1}}}
- {name: envoy.filters.http.fault, typed_config: {"@type": TYPE, abort: {http_status: 503, percentage: {numerator: 1}}}}
- {name: envoy.filters.http.fault, typed_config: {"@type": TYPE, delay: {fixed_delay: 1m}}}
""".replace("TYPE", "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault")
    assert refusal(text) == (
        "2 mistakes:\n"
        "  f.yaml, line 2: http_filters[0].typed_config.abort.http_status: 1 is not possible (200 to 599)\n"
        "  f.yaml, line 4: http_filters[2].typed_config.delay.fixed_delay: '1m' is not a duration "
        "(seconds with an s and nothing else, such as 1.5s)"
    )
    two = '[{"name": ""}, {"name": "b", "upstream": "c:1", "toxics": [{"type": "x"}, {"type": "noop", "stream": "y"}]}]'
    assert refusal(two, "toxiproxy", file="f.json").startswith(
        "3 mistakes:\n  f.json, line 1: [0].name: missing required"
    )
    routes = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
spec:
  hosts: [shop]
  http: [{fault: {}}, {fault: {abort: {httpStatus: 1}}}]
"""
    assert refusal(routes).startswith(
        "2 mistakes:\n  f.yaml, line 5: spec.http[0].fault: a fault has a delay or an abort"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "f.yaml, line 2, column 1: this is not YAML: did not find expected ',' or ']'"),
        ("a:\tb\n\t- c", "f.yaml, line 2, column 1: this is not YAML: found a tab character that violates indentation"),
        ("\x00", "f.yaml, line 1: this is not YAML: unacceptable character #x0000: control characters are not allowed"),
        (
            "a\r\n\r\x07",
            "f.yaml, line 3: this is not YAML: unacceptable character #x0007: control characters are not allowed",
        ),
        ('a: "\\ud800"', "f.yaml, line 1, column 7: this is not YAML: found invalid Unicode character escape code"),
        ("a: 1\na: 2", "f.yaml, line 2: the key 'a' is given twice (remove one)"),
        ("<<: {a: 1}", "f.yaml, line 1: merge keys (<<) are refused (write the fields out)"),
        ("? [a]\n: 1", "f.yaml, line 1: a key is a text"),
        ("a: !!str 5", "f.yaml, line 1: tags are refused (leave it out)"),
        ("a: !!python/object:os.system {}", "f.yaml, line 1: tags are refused (leave it out)"),
        (
            "a: &x [*x]",
            f"f.yaml, line 1: this is nested too deep (at most {MAX_DEPTH} levels, and no anchor inside itself)",
        ),
        ("[" * (MAX_DEPTH + 1), f"f.yaml, line 1: this is nested too deep (at most {MAX_DEPTH} levels)"),
        ("a: *b", "f.yaml, line 1, column 4: this is not YAML: found undefined alias"),
        ("", "f.yaml: there is nothing here"),
        ("---\n# nothing\n", "f.yaml: there is nothing here"),
        ("a: 1\n---\nb: 2", "f.yaml, line 3: a second document stands here (one for each file)"),
    ],
)
def test_what_is_no_yaml_or_too_much_of_it_is_refused(text, message):
    assert refusal(text, "envoy") == message


def test_aliases_that_explode_are_refused_before_they_do(monkeypatch):
    monkeypatch.setattr("faultware.interop.yamltree.MAX_NODES", 20_000)
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 10)]
    message = refusal("\n".join(lines), "envoy")
    assert message == "f.yaml, line 1: this unfolds into too much (at most 20000 values, aliases unfolded)"


def test_more_values_than_anybody_writes_are_refused_before_they_are_built(monkeypatch):
    monkeypatch.setattr("faultware.interop.yamltree.MAX_KEYS_AND_VALUES", 9)
    monkeypatch.setattr("yaml.compose_all", lambda *_, **__: 1 / 0)
    assert refusal("- 1\n" * 10, "envoy") == "f.yaml, line 9: this is too much (at most 500000 values)"


@pytest.mark.parametrize("value", ["1", "[]", "{ }", '"\\",[{"', '[",,"]', '{"a": [""]}', '["a", {"[": "{"}, "\\\\"]'])
def test_the_values_of_json_are_counted_before_it_is_read(monkeypatch, value):
    def count(found):
        return 1 + sum(
            map(count, found.values() if isinstance(found, dict) else found if isinstance(found, list) else ())
        )

    text = f"[{value}, {value}]" + " " * 40
    most = count(json.loads(text))
    monkeypatch.setattr("faultware.interop.tree.MAX_NODES", most)
    assert len(read_tree(text, "f.json", is_json=True).documents) == 1
    monkeypatch.setattr("faultware.interop.tree.MAX_NODES", most - 1)
    monkeypatch.setattr("faultware.interop.tree.load_json", lambda *_: 1 / 0)
    assert refusal(text, file="f.json") == f"f.json: this is too much (at most {most - 1} values)"


@pytest.mark.parametrize("rest", ["", "\\", '"', '"\\', '"\\"' * 9])
def test_a_string_that_does_not_end_is_no_harm_to_counting(monkeypatch, rest):
    monkeypatch.setattr("faultware.interop.tree.MAX_NODES", 10)
    text = "[" + '"a", ' * 8 + '"' + '\\"' * 20 + rest
    assert "this is not JSON" in refusal(text, file="f.json")


def test_aliases_that_do_not_explode_are_followed():
    text = "abort: {http_status: 503, percentage: &half {numerator: 50}}\ndelay: {fixed_delay: 1s, percentage: *half}"
    (rule,) = import_text(text, "f.yaml", origin="envoy").rules
    assert (rule.abort.percentage, rule.delay.percentage) == (50, 50)


def test_what_is_too_large_is_not_read():
    assert refusal("#" * (MAX_BYTES + 1), "envoy") == f"f.yaml: this is too large (at most {MAX_BYTES} bytes)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n"a": 2}', "f.json, line 2: the key 'a' is given twice (remove one)"),
        ('{"a": {\n"b": [],\n"b": 1}}', "f.json, line 3: the key 'b' is given twice (remove one)"),
        ('{"a":', "f.json, line 1, column 6: this is not JSON: Expecting value"),
        ('{"a":\n"\\ud800"}', "f.json, line 2: a: half of a character is no text (write whole characters)"),
        ('{"a": [\nNaN]}', "f.json, line 2: a[0]: NaN is not a number (write a finite number)"),
        ("-Infinity", "f.json, line 1: -Infinity is not a number (write a finite number)"),
        ("[" * 40 + "]" * 40, "f.json: this is nested too deep (at most 32 levels)"),
        ("[" * 100_000, "f.json: this is nested too deep (at most 32 levels)"),
        ("{} {}", "f.json, line 1: something stands behind the document (remove it)"),
    ],
)
def test_what_is_no_json_is_refused(text, message):
    assert refusal(text, "envoy", file="f.json") == message


def test_bytes_that_are_no_utf_8_are_told_with_their_line(tmp_path):
    file = tmp_path / "vs.yaml"
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(RuleError) as caught:
        import_file(file)
    assert str(caught.value) == f"{file}, line 2: this is not UTF-8 (save the file as UTF-8)"


def test_without_pyyaml_yaml_is_refused_with_the_command_that_helps_and_json_is_read(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faultware.interop.yamltree", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'faultware\[yaml\]'"):
        import_text("a: 1", "f.yaml")
    text = '{"abort": {"http_status": 503, "percentage": {"numerator": 100}}}'
    assert len(import_text(text, "f.json", is_json=True, origin="envoy").rules) == 1
