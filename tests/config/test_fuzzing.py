"""No input makes anything but rules, settings, or an error of faultware's own."""

import copy
import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faultware import FaultwareError
from faultware.config.documents import load_json, read_rules, read_text
from faultware.config.files import read_file
from faultware.config.loading import load_settings
from faultware.config.oneline import parse_rules
from faultware.config.quantities import parse_duration, parse_percentage, read_percentage
from faultware.config.settings import NAMES
from faultware.core.rendering import rule_document
from tests.strategies import rules

slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)

WORDS = (  # noqa: SIM905  (a list would take a line for each)
    "GET POST,PUT get FETCH /p /** /users/{id} /{ /a/**b header:x=1 header= header:x query:a=b cookie:s= "
    "host=a client=10.0.0.0/8 client=x 10% 0.5pct 3x 0x 150% 25 10 % delay abort hang raise reset "
    "throttle latency 200ms 1s 5 200ms±50ms 1s..2s ± +- .. 503 700 TimeoutError + for 5m 0s as slow My -> "
    "; \n \" ' [ { # = : ~ é \x00 \u2028"
).split(" ")
words = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)

odd_numbers = st.sampled_from([0, -1, 0.5, 1e308, float("nan"), float("inf"), 10**30, True, 503, 200])
huge_numbers = st.builds(pow, st.just(10), st.just(5000))
texts = st.text(max_size=12) | st.text("\ud800\udfff\x00{}*/%±.", max_size=6) | st.sampled_from(WORDS)
values = st.recursive(
    st.none()
    | st.booleans()
    | odd_numbers
    | huge_numbers
    | st.floats()
    | st.integers()
    | texts
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | odd_numbers, inner, max_size=3)
        | st.tuples(inner)
        | st.sets(st.text(max_size=2), max_size=1)
    ),
    max_leaves=8,
)
plain_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
KEYS = (  # noqa: SIM905
    "name match path methods headers query cookies host client percentage delay abort raise hang count "
    "every sample_by group for status body body_base64 content_type after exception duration fixed jitter "
    "min max mean deviation median sigma scale shape distribution exact prefix regex present ignore_case "
    "invert segments rules"
).split(" ")
DISTRIBUTIONS = ["uniform", "normal", "lognormal", "exponential", "pareto", "normale"]
near_values = values | st.sampled_from(["1s", "10%", "5", "/a", "eA==", "header:x", *DISTRIBUTIONS])
near_documents = st.recursive(
    near_values, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=5), max_leaves=12
)


def is_ours(action, *arguments, **options):
    """Whether something succeeds, or fails with an error of faultware's own that can be printed."""
    try:
        return action(*arguments, **options)
    except FaultwareError as error:
        str(error)
        return None


@slow
@given(words | st.text(max_size=40))
def test_any_line_gives_rules_or_an_error_of_ours(text):
    found = is_ours(parse_rules, text)
    if found:
        assert parse_rules("\n".join(map(str, found))) == found
    is_ours(read_text, text)


@slow
@given(texts)
def test_any_quantity_gives_a_number_or_an_error_of_ours(text):
    for parse in (parse_duration, parse_percentage, read_percentage):
        is_ours(parse, text)


@slow
@given(values | near_documents | st.dictionaries(st.sampled_from(KEYS), near_values, max_size=6))
def test_any_document_gives_rules_or_an_error_of_ours(data):
    is_ours(read_rules, data)
    is_ours(read_rules, [data])


def spots(data, path=()):
    """The paths to everything inside a document."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, inner in items:
        yield from spots(inner, (*path, key))


@slow
@given(st.data(), rules())
def test_a_valid_document_with_one_thing_changed_gives_rules_or_an_error_of_ours(data, rule):
    document = copy.deepcopy(rule_document(rule))
    *path, last = data.draw(st.sampled_from([spot for spot in spots(document) if spot]))
    place = document
    for key in path:
        place = place[key]
    match data.draw(st.sampled_from(["replace", "remove", "misspell", "add"])):
        case "replace":
            place[last] = data.draw(near_values)
        case "remove":
            del place[last]
        case "misspell" if isinstance(place, dict):
            place[str(last)[:-1] + "x"] = place.pop(last)
        case _:
            if isinstance(place, dict):
                place[data.draw(st.sampled_from(KEYS))] = data.draw(near_values)
    is_ours(read_rules, document)


@slow
@given(st.text(max_size=30) | st.binary(max_size=30) | plain_values.map(json.dumps))
def test_any_json_gives_data_or_an_error_of_ours(text):
    is_ours(load_json, text, "body")


@pytest.mark.parametrize("kind", [".toml", ".yaml", ".json"])
@slow
@given(
    text=st.binary(max_size=40)
    | st.text(string.printable, max_size=60).map(str.encode)
    | st.lists(
        st.sampled_from(
            [
                "rules",
                ":",
                "- ",
                "\n",
                "  ",
                "[[",
                "]]",
                "=",
                "{",
                "}",
                ",",
                '"',
                "'",
                "1",
                "&a",
                "*a",
                "!!int",
                "~",
                "0x1",
                "2026-1-1",
                "?",
                "|",
                "#",
                "<<",
            ]
        ),
        max_size=15,
    ).map(lambda parts: "".join(parts).encode())
)
def test_any_file_gives_data_or_an_error_of_ours(kind, text, tmp_path):
    path = tmp_path / f"any{kind}"
    path.write_bytes(text)
    is_ours(read_file, path)
    is_ours(load_settings, {"FAULTWARE_ENABLED": "1", "FAULTWARE_CONFIG_FILE": str(path)})


@slow
@given(
    st.dictionaries(
        st.sampled_from([name.upper() for name in NAMES]),
        texts | st.sampled_from(["1", "50%", "/a", "memory:"]),
        max_size=4,
    )
)
def test_any_variables_give_settings_or_an_error_of_ours(variables):
    environ = {f"FAULTWARE_{name}": value for name, value in variables.items() if name != "ENABLED"}
    is_ours(load_settings, {"FAULTWARE_ENABLED": "1", **environ})
    is_ours(load_settings, {f"FAULTWARE_{name}": value for name, value in variables.items()})


@slow
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), values, max_size=4))
def test_any_arguments_give_settings_or_an_error_of_ours(arguments):
    arguments.pop("environ", None)
    is_ours(load_settings, {"FAULTWARE_ENABLED": "1"}, **arguments)
