"""What a person sees who writes something wrong. The tables are in `refused`: an input, and the whole message.

The tables of lines have the caret's line under each input, as it is shown; in the others the message follows the arrow.
"""

import json
import math
from pathlib import Path

import pytest
import yaml

from faultware import Abort, ConfigurationError, FaultwareError, Hang, MissingExtraError, Rule, RuleError, SettingsError
from faultware.config.documents import load_json, read_rules, read_text
from faultware.config.files import read_file
from faultware.config.loading import load_settings
from faultware.config.oneline import parse_rules
from faultware.config.settings import NAMES

TABLES = Path(__file__).parent / "refused"


def rows(name):
    """Pairs of an input and the message behind its arrows."""
    found = []
    for line in (TABLES / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("→ "):
            found[-1][1].append(line.removeprefix("→ ").replace("EVERY_NAME", ", ".join(NAMES).upper()))
        else:
            found.append((line, []))
    return [(text, "\n".join(message)) for text, message in found]


LINES = (TABLES / "lines.txt").read_text(encoding="utf-8").splitlines()
DOCUMENTS = rows("documents.txt")
VARIABLES = rows("variables.txt")


@pytest.mark.parametrize(("text", "marked"), list(zip(LINES[::2], LINES[1::2], strict=True)))
def test_a_wrong_line_is_told_with_a_caret_under_the_word(text, marked):
    with pytest.raises(RuleError) as caught:
        parse_rules(text)
    spaces, _, words = marked.partition("^")
    carets, _, message = f"^{words}".partition(" ")
    message, _, hint = message.removesuffix(")").partition(" (")
    expected = f"{message}\n    {text}\n    {spaces}{carets}" + (f" ({hint})" if hint else "")
    assert str(caught.value) == expected


@pytest.mark.parametrize(("text", "message"), DOCUMENTS)
def test_a_wrong_document_is_told_with_its_place(text, message):
    with pytest.raises(RuleError) as caught:
        read_rules(yaml.safe_load(text))
    assert str(caught.value) == message


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("directory.toml").mkdir()
    tmp_path.joinpath("broken.toml").write_text("a =")
    tmp_path.joinpath("with-settings.toml").write_text("armed = true")
    tmp_path.joinpath("short-token").write_text("abc\n")
    tmp_path.joinpath("no-tokens").write_text("\n# ops:kill:0123456789abcdef\n  \n")
    tmp_path.joinpath("some-tokens").write_text("# who\nops:kill:0123456789abcdef\nx:root:0123456789abcdefg\n")
    tmp_path.joinpath("latin-token").write_bytes(b"\xe9" * 20)
    return tmp_path


@pytest.mark.parametrize(("variables", "message"), VARIABLES)
def test_a_wrong_variable_is_told_by_its_name(variables, message, directory):
    environ = {f"FAULTWARE_{name}": value for name, value in json.loads(variables).items()}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert str(caught.value) == message


NOT_A_SWITCH = "is neither on nor off (true, 1, yes, on; or false, 0, no, off, nothing)"
TWINS = [Rule("a", percentage=1, hang=Hang()), Rule("a", percentage=2, abort=Abort(503))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"enabled": "perhaps"}, f"enabled=: 'perhaps' {NOT_A_SWITCH}"),
        ({"enabled": 1}, "enabled=: 1 is a number (write true or false)"),
        ({"armed": [True]}, f"armed=: a list {NOT_A_SWITCH}"),
        ({"max_deley": "1s"}, "unknown argument 'max_deley' (did you mean max_delay?)"),
        ({"token": "x"}, "unknown argument 'token' (did you mean control_token?)"),
        ({"max_delay": 30}, "max_delay=: 30 is not a duration: a duration needs its unit (write '30s' or '200ms')"),
        ({"max_delay": True}, "max_delay=: true is not a duration (write '30s' or '200ms')"),
        (
            {"max_percentage": True},
            "max_percentage=: true is not a percentage (a number from 0 to 100, or a text such as '0.5%')",
        ),
        (
            {"max_percentage": math.nan},
            "max_percentage=: nan is not a percentage (a number from 0 to 100, or a text such as '0.5%')",
        ),
        ({"max_percentage": 0.3}, "max_percentage=: 0.3 may be a share or a percentage (write '0.3%' or 30)"),
        ({"max_active_faults": True}, "max_active_faults=: true is not a whole number (write digits, such as 100)"),
        ({"max_active_faults": 2.5}, "max_active_faults=: 2.5 is not a whole number (write digits, such as 100)"),
        ({"seed": 1.5}, "seed=: 1.5 is not a whole number (write digits, such as 100)"),
        ({"seed": 10**5000}, "seed=: a number of more than 20 digits is too large (64 bits at most)"),
        ({"exclude": 7}, "exclude=: 7 is not a list (a list of texts, or a text with commas)"),
        ({"exclude": [7]}, "exclude=: 7 is not a text (quote it)"),
        ({"store": 7}, "store=: 7 is not a text (quote it)"),
        ({"control_token": 12345678901234567890}, "control_token=: the token is not a text (quote it)"),
        ({"control_token_file": 7}, "control_token_file=: 7 is not a path (quote it)"),
        ({"control_path": 7}, "control_path=: 7 is not a text (quote it)"),
        ({"control_hosts": [7]}, "control_hosts=: 7 is not a text (quote it)"),
        ({"kill_file": 7}, "kill_file=: 7 is not a path (quote it)"),
        ({"kill_file": "a\0b"}, "kill_file=: 'a\\x00b' is not a path (it holds a null character)"),
        ({"environment": 7}, "environment=: 7 is not a text (quote it)"),
        (
            {"environment": "prod"},
            "environment=: faults are refused in prod (set FAULTWARE_ALLOW_PRODUCTION=true if they are wanted there)",
        ),
        ({"config_file": 7}, "config_file=: 7 is not a path (quote it)"),
        ({"config_file": "none.toml"}, "config_file=: none.toml: there is no such file"),
        ({"rules": 7}, "rules=: rules: 7 is not a list of rules (a list, one rule, or {rules: [...]})"),
        ({"rules": [7]}, "rules=: rules[0]: 7 is not a rule (a Rule, a mapping, or a text in one line)"),
        ({"rules": ["/p 10"]}, "rules=: rules[0]: a share needs its sign\n    /p 10\n       ^^ (write 10% or 10x)"),
        ({"rules": {"percentage": 10}}, "rules=: rules: a fault is missing (such as abort, delay, reset, truncate)"),
        ({"rules": Path("none.yaml")}, "rules=: none.yaml: there is no such file"),
        (
            {"rules": Path("with-settings.toml")},
            (
                "rules=: with-settings.toml: unknown key 'armed' beside rules"
                " (a file that holds settings is given as config_file)"
            ),
        ),
        (
            {"rules": Path("~nobody-has-this-name/x.toml")},
            "rules=: '~nobody-has-this-name/x.toml' is not a path (there is no such user)",
        ),
        ({"rules": TWINS}, "rules=: the name 'a' is used twice (a name is unique: rename or remove one of them)"),
        (
            {"rules": [{"percentage": 10}, "/p"], "seed": "x"},
            (
                "2 mistakes:\n"
                "  rules=: 2 mistakes:\n"
                "    rules[0]: a fault is missing (such as abort, delay, reset, truncate)\n"
                "    rules[1]: how often? a share is required\n"
                "        /p\n"
                "           ^ (write /p 10% abort 503)\n"
                "  seed=: 'x' is not a whole number (write digits, such as 100)"
            ),
        ),
    ],
)
def test_a_wrong_argument_is_told_by_its_name(arguments, message, directory):
    with pytest.raises(ConfigurationError) as caught:
        load_settings({} if "enabled" in arguments else {"FAULTWARE_ENABLED": "1"}, **arguments)
    assert str(caught.value) == message


TOO_DEEP = "this is nested too deep"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "a = 1\nb =", "a.toml, line 2: this is not TOML: Invalid value"),
        ("a.toml", "a = 1\nb = x", "a.toml, line 2, column 5: this is not TOML: Invalid value"),
        ("a.toml", "a = 1\na = 2\n", "a.toml, line 2, column 6: this is not TOML: Cannot overwrite a value"),
        ("a.toml", "a = nan", "a.toml: a: nan is not a number (write a finite number)"),
        ("a.toml", "[a]\nb = [-inf]", "a.toml: a.b[0]: -inf is not a number (write a finite number)"),
        ("a.toml", "a = 2026-11-23", "a.toml: a: a date is not possible here (quote it)"),
        ("a.toml", "a = 12:30:00", "a.toml: a: a time is not possible here (quote it)"),
        ("a.toml", "a = " + "9" * 5000, "a.toml: this is not TOML: a number or a date is not possible"),
        ("a.toml", "a = 0x" + "f" * 40, "a.toml: a: this number is too large (64 bits at most)"),
        ("a.toml", "a = " + "[" * 5000, f"a.toml: {TOO_DEEP}"),
        ("a.toml", "a = " + "[" * 40 + "]" * 40, f"a.toml: {TOO_DEEP} (at most 32 levels)"),
        (
            "a.toml",
            "x = 1\n[faultware]\nx = 1",
            "a.toml: x is given twice (once at the root, once under faultware: remove one)",
        ),
        (
            "a.yaml",
            "a: [1",
            "a.yaml, line 1, column 6: this YAML is not read: expected ',' or ']', but got '<stream end>'",
        ),
        ("a.yaml", "a: 1\nb: 2\na: 3", "a.yaml, line 3, column 1: this YAML is not read: the key 'a' is given twice"),
        ("a.yaml", "a: &x 1", "a.yaml, line 1, column 4: this YAML is not read: anchors and aliases are refused"),
        (
            "a.yaml",
            "- &x [1]\n- *x",
            "a.yaml, line 1, column 3: this YAML is not read: anchors and aliases are refused",
        ),
        ("a.yaml", "a: 1\n---\nb: 2", "a.yaml, line 2, column 1: this YAML is not read: but found another document"),
        ("a.yaml", "<<: {a: 1}", "a.yaml, line 1, column 1: this YAML is not read: merge keys (<<) are refused"),
        ("a.yaml", "? [a]\n: b", "a.yaml, line 1, column 3: this YAML is not read: a key is a text"),
        (
            "a.yaml",
            "a: !!python/object/apply:os.system [x]",
            "a.yaml, line 1, column 4: this YAML is not read: tags are refused",
        ),
        ("a.yaml", "a: !!int ''", "a.yaml, line 1, column 4: this YAML is not read: tags are refused"),
        ("a.yaml", "a: 2026-11-23", "a.yaml: a: a date is not possible here (quote it)"),
        (
            "a.yaml",
            "a: 2026-13-45",
            "a.yaml, line 1, column 4: this YAML is not read: this looks like a number or a date and is none: quote it",
        ),
        (
            "a.yaml",
            "a:\n  " + "9" * 5000,
            "a.yaml, line 2, column 3: this YAML is not read: this looks like a number or a date and is none: quote it",
        ),
        (
            "a.yaml",
            "control_token: 12345678901234567890",
            "a.yaml: control_token: this number is too large (64 bits at most)",
        ),
        ("a.yaml", "a: .inf", "a.yaml: a: inf is not a number (write a finite number)"),
        ("a.yaml", "on: 1", "a.yaml: the key true is not a text (quote it)"),
        ("a.yaml", "- - " * 2000, f"a.yaml, line 1, column 67: this YAML is not read: {TOO_DEEP}"),
        ("a.yaml", "text", "a.yaml: this is not a mapping (rules: and settings stand here)"),
        (
            "a.yaml",
            "a: \x07",
            "a.yaml: this is not YAML: unacceptable character #x0007: special characters are not allowed",
        ),
        ("a.json", '{"a": 1, "a": 2}', "a.json: the key 'a' is given twice (remove one)"),
        ("a.json", '{"a": [NaN]}', "a.json: NaN is not a number (write a finite number)"),
        ("a.json", "1e999", "a.json: this number is too large (write a finite number)"),
        ("a.json", '{"a":\n1 2}', "a.json, line 2, column 3: this is not JSON: Expecting ',' delimiter"),
        ("a.json", "", "a.json, line 1, column 1: this is not JSON: Expecting value"),
        ("a.json", '{"a": "\\ud800"}', "a.json: a: half of a character is no text (write whole characters)"),
        ("a.json", "9" * 5000, "a.json: this number is too large (64 bits at most)"),
        ("a.json", "[" * 100_000, f"a.json: {TOO_DEEP} (at most 32 levels)"),
        ("a.json", "7", "a.json: this is not a mapping (rules: and settings stand here)"),
        ("a.json", b"\n\xff", "a.json, line 2: this is not UTF-8 (save the file as UTF-8)"),
        ("a.json", " " * (1024 * 1024 + 1), "a.json: this is too large (at most 1048576 bytes)"),
        ("a.ini", "", "a.ini: the suffix '.ini' says nothing about its content (one of .toml, .yaml, .yml, .json)"),
        ("faults", "", "faults: the suffix '' says nothing about its content (one of .toml, .yaml, .yml, .json)"),
    ],
    ids=range(43),
)
def test_a_wrong_file_is_told_with_line_and_column(name, content, message, directory):
    directory.joinpath(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError) as caught:
        read_file(Path(name))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('seed = "x"', "f.toml: seed: 'x' is not a whole number (write digits, such as 100)"),
        ("max_delay = 5", "f.toml: max_delay: 5 is not a duration: a duration needs its unit (write '30s' or '200ms')"),
        ("max_percentage = 0.5", "f.toml: max_percentage: 0.5 may be a share or a percentage (write '0.5%' or 50)"),
        ("armed = 1", "f.toml: armed: 1 is a number (write true or false)"),
        ("max_deley = '5s'", "f.toml: unknown key 'max_deley' (did you mean max_delay?)"),
        ("FAULTWARE_ENABLED = true", "f.toml: unknown key 'FAULTWARE_ENABLED' (did you mean enabled?)"),
        ("config_file = 'g.toml'", "f.toml: config_file: a file cannot name another (leave it out)"),
        ("control_token = 12345", "f.toml: control_token: the token is not a text (quote it)"),
        ("rules = 7", "f.toml: rules: rules: 7 is not a list of rules (a list, one rule, or {rules: [...]})"),
        ("rules = '/p 10'", "f.toml: rules: a share needs its sign\n    /p 10\n       ^^ (write 10% or 10x)"),
        (
            "[[rules]]\nname = 'slow'\npercentage = 10\nabort = '503'",
            "f.toml: rules: slow.abort: '503' is not a status (write 503 without quotes)",
        ),
    ],
)
def test_a_wrong_setting_in_a_file_is_told_with_the_file(content, message, directory):
    directory.joinpath("f.toml").write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"FAULTWARE_ENABLED": "1", "FAULTWARE_CONFIG_FILE": "f.toml"})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"path": ', "line 1, column 11: this begins like JSON but is not: Expecting value"),
        ("[1, 2", "line 1, column 6: this begins like JSON but is not: Expecting ',' delimiter"),
        ("/p\n10%", None),
    ],
)
def test_a_text_is_json_when_it_begins_like_json(text, message):
    with pytest.raises(RuleError) as caught:
        read_text(text)
    assert message is None or str(caught.value) == message


def test_a_single_mistake_keeps_its_place_and_hint():
    with pytest.raises(RuleError) as caught:
        read_rules([{"name": "slow", "percentage": 10, "abort": {"statsu": 503}}])
    assert caught.value.where == "slow.abort"
    assert caught.value.message == "unknown key 'statsu'"
    assert caught.value.hint == "did you mean status?"


def refusal(environ):
    """The error that settings are refused with, or None."""
    try:
        load_settings(environ)
    except FaultwareError as error:
        return error
    return None


def test_a_text_that_holds_the_environment_of_a_process_manager_is_never_echoed():
    secret = "{'here': '/etc/supervisor', 'ENV_DATABASE_URL': 'postgres://u:hunter2@h'}"
    for variable in ("RULES", "MAX_DELAY", "MAX_PERCENTAGE", "EXCLUDE", "STORE", "CONTROL_HOSTS", "SEED", "ENABLED"):
        error = refusal({"FAULTWARE_ENABLED": "1", f"FAULTWARE_{variable}": f"/p 10{secret}bort 503"})
        assert error is not None
        assert "hunter2" not in str(error), variable


@pytest.mark.parametrize("token", ["hunter2", "hunter2 and some more", "hunter2\x07and-some-more", "hunter2é" * 4])
@pytest.mark.parametrize("variable", ["SEED", "CONTROL_TOKEN_FILE"])
def test_a_token_is_never_shown_whatever_is_wrong_with_it(token, variable, directory):
    environ = {"FAULTWARE_ENABLED": "1", "FAULTWARE_CONTROL_TOKEN": token, f"FAULTWARE_{variable}": "short-token"}
    error = refusal(environ)
    assert "hunter2" not in str(error)
    assert error.__suppress_context__ or error.__context__ is None


def test_a_token_is_not_shown_by_the_settings():
    settings = load_settings({"FAULTWARE_ENABLED": "1", "FAULTWARE_CONTROL_TOKEN": "hunter2-is-long-enough"})
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.control_token.get_secret_value() == "hunter2-is-long-enough"


def test_what_is_echoed_of_an_input_is_cut():
    for text in (
        f"/p 10% {'x' * 100_000}",
        f"/{'p' * 100_000} 10%",
        "/p 10% abort 503 " + "y" * 100_000,
        "x" * 100_000,
    ):
        with pytest.raises(RuleError) as caught:
            parse_rules(text)
        assert max(map(len, str(caught.value).splitlines())) < 400
    for document in (
        {"x" * 100_000: 1},
        {"percentage": 10, "abort": 503, "name": "x" * 100_000},
        {"percentage": "9" * 100_000},
    ):
        with pytest.raises(RuleError) as caught:
            read_rules(document)
        assert len(str(caught.value)) < 1000


def test_of_a_long_line_the_part_around_the_word_is_shown():
    with pytest.raises(RuleError) as caught:
        parse_rules(f"/{'p' * 900}{' ' * 100_000}10% abrot{' ' * 500}503")
    _, shown, marked = caught.value.message.split("\n")
    assert len(shown) <= 204
    assert shown[marked.index("^") :].startswith("abrot")
    assert shown.strip()[0] == shown[-1] == "…"


def test_a_message_that_repeats_a_long_value_is_cut():
    with pytest.raises(RuleError) as caught:
        read_rules({"percentage": 10, "abort": 503, "match": {"client": "x" * 1000}})
    assert len(caught.value.message) == 200


def test_many_mistakes_are_cut_too():
    with pytest.raises(RuleError) as caught:
        parse_rules(";".join(["/p"] * 1000))
    assert str(caught.value).startswith("the first 20 mistakes:")
    with pytest.raises(RuleError) as caught:
        read_rules([{}] * 1000)
    assert str(caught.value).startswith("the first 20 mistakes:")


def test_control_characters_of_an_input_do_not_reach_the_terminal():
    with pytest.raises(RuleError) as caught:
        parse_rules("/p\x1b[2J 10% abrot\x07 503")
    assert not {"\x1b", "\x07"} & set(str(caught.value))


def test_without_pyyaml_a_yaml_file_names_the_extra(directory, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    monkeypatch.delitem(__import__("sys").modules, "faultware.config.yamlfile", raising=False)
    directory.joinpath("a.yaml").write_text("a: 1")
    with pytest.raises(MissingExtraError) as caught:
        read_file(Path("a.yaml"))
    assert str(caught.value) == "the YAML file a.yaml needs an extra: pip install 'faultware[yaml]'"


def test_json_is_refused_with_the_name_of_what_was_read():
    with pytest.raises(RuleError) as caught:
        load_json(b'{"a"', "body")
    assert str(caught.value) == "body, line 1, column 5: this is not JSON: Expecting ':' delimiter"


def test_there_are_enough_rows():
    assert len(LINES) // 2 >= 250
    assert len(DOCUMENTS) >= 330
    assert len(VARIABLES) >= 150
