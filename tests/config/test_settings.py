"""How the environment, a file and arguments are weighed up, and what each setting accepts."""

import subprocess
import sys
from pathlib import Path

import pytest

from faultware import ConfigurationError, Match, PathMatch, Raise, Rule, SettingsError
from faultware.config.loading import load_settings
from faultware.config.settings import NAMES, Settings
from faultware.config.tokens import Role, Token, digest

ON = {"FAULTWARE_ENABLED": "true"}


def load(arguments=None, **variables):
    return load_settings(
        {**ON, **{f"FAULTWARE_{name}": value for name, value in variables.items()}}, **(arguments or {})
    )


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="faults.toml"):
        tmp_path.joinpath(name).write_text(text, encoding="utf-8")
        return name

    return write


def names(settings):
    return [rule.name for rule in settings.rules]


# Inert, unless somebody says on and nobody says off.


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "y", "t", "on", " on ", "On\n"])
def test_these_words_mean_on(word):
    assert load_settings({"FAULTWARE_ENABLED": word}).enabled


@pytest.mark.parametrize("word", ["false", "FALSE", "0", "no", "n", "f", "off", "", " ", " Off "])
def test_these_words_mean_off_even_when_the_code_says_on(word):
    assert not load_settings({"FAULTWARE_ENABLED": word}, enabled=True).enabled


@pytest.mark.parametrize(
    ("variable", "argument", "enabled"),
    [
        (None, None, False),
        (None, True, True),
        (None, False, False),
        ("1", None, True),
        ("1", True, True),
        ("1", False, False),
        ("0", True, False),
        (None, "yes", True),
        ("1", "", False),
    ],
)
def test_off_wins_over_on(variable, argument, enabled):
    environ = {} if variable is None else {"FAULTWARE_ENABLED": variable}
    assert load_settings(environ, enabled=argument).enabled is enabled


@pytest.mark.parametrize(
    ("variable", "in_file", "argument", "armed"),
    [(None, None, None, True), ("1", "false", True, False), ("0", "true", True, False), ("1", None, False, False)],
)
def test_disarmed_wins_over_armed(variable, in_file, argument, armed, file):
    variables = {} if variable is None else {"ARMED": variable}
    if in_file:
        variables["CONFIG_FILE"] = file(f"armed = {in_file}")
    assert load({"armed": argument}, **variables).armed is armed


def test_a_file_can_enable_and_disable(file):
    assert load_settings({"FAULTWARE_CONFIG_FILE": file("enabled = true")}).enabled
    assert not load_settings({**ON, "FAULTWARE_CONFIG_FILE": file("enabled = false")}).enabled
    assert not load_settings({"FAULTWARE_ENABLED": "", "FAULTWARE_CONFIG_FILE": file("enabled = true")}).enabled


def test_nothing_that_is_broken_stops_a_service_that_is_not_enabled():
    broken = {
        "RULES": "broken",
        "MAX_DELAY": "5",
        "STORE": "nowhere",
        "CONTROL_TOKEN": "x",
        "ENVIRONMENT": "production",
    }
    environ = {f"FAULTWARE_{name}": value for name, value in broken.items()}
    assert load_settings(environ, rules="also broken", seed="x") == Settings()
    assert load_settings({**environ, "FAULTWARE_ENABLED": "off", "FAULTWARE_CONFIG_FILE": "none.toml"}) == Settings()


def test_a_file_that_could_enable_but_cannot_be_read_is_a_mistake():
    with pytest.raises(SettingsError, match="no such file"):
        load_settings({"FAULTWARE_CONFIG_FILE": "none.toml"})


def test_names_are_checked_even_when_not_enabled():
    with pytest.raises(SettingsError, match="did you mean FAULTWARE_RULES"):
        load_settings({"FAULTWARE_RULLES": "x", "FAULTWARE_ENABLED": "off"})
    with pytest.raises(SettingsError, match="did you mean rules"):
        load_settings({}, rulles="x")


def test_other_variables_are_left_alone():
    service = {
        "FAULTWARE_SERVICE_HOST": "10.0.0.1",
        "FAULTWARE_SERVICE_PORT_HTTP": "80",
        "FAULTWARE_PORT": "tcp://10.0.0.1:80",
        "FAULTWARE_PORT_80_TCP_ADDR": "10.0.0.1",
        "FAULTWARE_CONTROL_URL": "http://10.0.0.1",
    }
    assert load_settings({"FAULTWAREX": "1", "MY_FAULTWARE_RULES": "x", "CONTROL_TOKEN": "x", **service}) == Settings()


def test_production_is_refused_unless_allowed_and_only_when_enabled():
    assert not load_settings({"FAULTWARE_ENVIRONMENT": "production"}).enabled
    for word in ("production", "PROD", " Live "):
        with pytest.raises(SettingsError, match="faults are refused in"):
            load(ENVIRONMENT=word)
        assert load(ENVIRONMENT=word, ALLOW_PRODUCTION="true").environment == word.strip().lower()
    assert load(ENVIRONMENT="Staging").environment == "staging"


# The environment wins over the file, and the file over arguments.


def test_the_environment_wins_over_the_file_and_the_file_over_arguments(file):
    path = file('max_delay = "2s"\nseed = 2\nrules = "/file 10% hang as file"')
    arguments = {"max_delay": "3s", "seed": 3, "max_active_faults": 3, "rules": "/argument 10% hang as argument"}
    settings = load(arguments, CONFIG_FILE=path, MAX_DELAY="1s")
    assert (settings.max_delay, settings.seed, settings.max_active_faults, names(settings)) == (1, 2, 3, ["file"])
    assert names(load(arguments, CONFIG_FILE=path, RULES="/environment 10% hang as environment")) == ["environment"]
    assert names(load(arguments)) == ["argument"]
    assert names(load({**arguments, "config_file": path})) == ["file"]


def test_the_environment_names_another_file_than_the_argument(file):
    ours, theirs = file("seed = 1", "ours.toml"), file("seed = 2", "theirs.toml")
    assert load({"config_file": theirs}, CONFIG_FILE=ours).seed == 1
    assert load({"config_file": Path(theirs)}, CONFIG_FILE=" ").seed == 2


def test_the_case_of_a_variable_does_not_count():
    assert load_settings({"faultware_enabled": "1", "Faultware_Seed": "7"}).seed == 7


def test_a_blank_variable_is_not_set():
    blank = {name.upper(): " " for name in NAMES if not isinstance(Settings.model_fields[name].default, bool)}
    assert load(**blank) == load()
    assert load({"seed": 3}, SEED="").seed == 3


def test_an_argument_that_is_none_is_not_given():
    assert load(dict.fromkeys(NAMES)) == load()


def test_the_process_environment_is_read_when_none_is_given(monkeypatch):
    monkeypatch.setenv("FAULTWARE_ENABLED", "1")
    monkeypatch.setenv("FAULTWARE_SEED", "42")
    assert load_settings().seed == 42


def test_no_env_file_is_read(file):
    file("FAULTWARE_ENABLED=1\nDATABASE_URL=postgres://u:p@h", ".env")
    assert load_settings({}) == Settings()


# What each setting accepts.


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("/p 10% abort 503", 1),
        ("/p 10% abort 503; POST /q 3x hang", 2),
        ("/p 10% abort 503\n\n/q 3x hang\n", 2),
        ('{"percentage": 10, "abort": 503}', 1),
        ('[{"percentage": 10, "abort": 503}]', 1),
        (' {"rules": [{"percentage": 10, "abort": 503}, {"count": 3, "hang": {}}]}', 2),
        ("[]", 0),
    ],
)
def test_rules_are_the_one_line_form_or_json(text, count):
    assert len(load(RULES=text).rules) == count


def test_rules_as_an_argument_are_a_text_a_file_or_a_list(file):
    rule = Rule("a", Match("/a"), percentage=1, raise_=Raise("E"))
    assert load({"rules": [rule]}).rules == (rule,)
    assert load({"rules": iter([rule, "/b 1% hang as b", {"name": "c", "count": 1, "hang": {}}])}).rules[0] is rule
    assert names(load({"rules": ("/a 1% hang as a; /b 1% hang as b",)})) == ["a", "b"]
    assert names(load({"rules": Path(file('[[rules]]\nname = "a"\npercentage = 1\nhang = {}'))})) == ["a"]
    assert names(load({"rules": Path(file("- name: a\n  percentage: 1\n  hang: {}", "a.yaml"))})) == ["a"]
    assert load({"rules": Path(file("", "empty.yml"))}).rules == ()
    assert load({"rules": ""}).rules == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", 'seed = 7\nrules = "/a 10% hang as a"'),
        ("a.toml", '[faultware]\nseed = 7\nrules = ["/a 10% hang as a"]'),
        ("a.toml", '[faultware]\nseed = 7\n[[faultware.rules]]\nname = "a"\npercentage = 10\nhang = {}'),
        ("a.toml", '[[rules]]\nname = "a"\npercentage = 10\nhang = "5s"\n[faultware]\nseed = 7'),
        ("a.json", '\ufeff{"seed": 7, "rules": [{"name": "a", "percentage": 10, "hang": {}}]}'),
        ("a.yaml", "\ufeffseed: 7\nrules:\n  - {name: a, percentage: 10, hang: {}}"),
        ("A.YML", "faultware:\n  seed: 7\n  rules: |\n    /a 10% hang as a"),
    ],
)
def test_a_file_holds_settings_and_rules_in_several_shapes(name, text, file):
    settings = load(CONFIG_FILE=file(text, name))
    assert (settings.seed, names(settings)) == (7, ["a"])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("EXCLUDE", "/a, /b/*,,", (PathMatch(segments="/a"), PathMatch(glob="/b/*"))),
        ("MAX_ACTIVE_FAULTS", "0", 0),
        ("MAX_ACTIVE_FAULTS", "1_000", 1000),
        ("MAX_DELAY", " 1m30s ", 90),
        ("MAX_DELAY", "0s", 0),
        ("MAX_PERCENTAGE", "50", 50),
        ("MAX_PERCENTAGE", "50%", 50),
        ("MAX_PERCENTAGE", " 0.5pct ", 0.5),
        ("MAX_PERCENTAGE", "0", 0),
        ("MAX_PERCENTAGE", "1.0", 1),
        ("SEED", " -7 ", -7),
        ("SEED", "1.0", 1),
        ("SEED", "0", 0),
        ("DRY_RUN", "yes", True),
        ("MARK_RESPONSES", "", False),
        ("STORE", "memory:", "memory:"),
        ("STORE", "file:/var/lib/faultware", "file:/var/lib/faultware"),
        ("CONTROL_PATH", "/ops/chaos", "/ops/chaos"),
        ("CONTROL_HOSTS", "Ops.Example., *,[::1]", ("ops.example", "*", "[::1]")),
        ("KILL_FILE", "~/kill", Path.home() / "kill"),
    ],
)
def test_a_setting_is_read_from_a_text(name, text, value):
    assert getattr(load(**{name: text}), name.lower()) == value


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_token_is_read_from_a_file_without_its_final_newline(ending, tmp_path):
    path = tmp_path / "token"
    path.write_bytes(f"0123456789abcdef{ending}".encode())
    settings = load(CONTROL_TOKEN_FILE=str(path))
    assert settings.control_token.get_secret_value() == "0123456789abcdef"
    assert settings.control_token_file == path


def test_only_one_final_newline_of_a_token_is_dropped(tmp_path):
    path = tmp_path / "token"
    path.write_text("0123456789abcdef\n\n")
    with pytest.raises(SettingsError, match="a blank or a control character"):
        load(CONTROL_TOKEN_FILE=str(path))


def test_what_is_kept_of_a_token_is_not_shown_either():
    kept = Token("ops", Role.KILL, digest("a-token-of-the-operators"))
    assert repr(kept.digest) not in f"{kept!r} {kept}"
    assert (kept.name in repr(kept), str(kept)) == (True, "ops:kill")


def test_a_token_may_stand_in_a_file_of_settings(file):
    path = file('control_token = "0123456789abcdef"')
    assert load(CONFIG_FILE=path).control_token.get_secret_value() == "0123456789abcdef"


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load().armed = False


def test_all_mistakes_of_all_sources_are_told_at_once(file):
    path = file("max_delay = 5\nfoo = 1")
    with pytest.raises(ConfigurationError) as caught:
        load({"seed": "x", "bar": 1}, CONFIG_FILE=path, RULES="/p 10", EXTRA="1")
    for part in ("6 mistakes", "FAULTWARE_EXTRA", "'bar'", "'foo'", "max_delay", "FAULTWARE_RULES", "seed="):
        assert part in str(caught.value)


def test_the_settings_load_only_what_they_need():
    code = (
        "import sys; from faultware.config.loading import load_settings; load_settings({})\n"
        "print([name for name in ('yaml', 'starlette', 'werkzeug', 'prometheus_client') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
