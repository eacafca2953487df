"""Input that is made to take time or memory does neither, and gives a short message."""

import json
import tracemalloc

import pytest

from faultware import FaultwareError
from faultware.config.documents import read_rules, read_text
from faultware.config.files import read_file


def refusal(read, *arguments):
    """The message that something is refused with; empty if it is not."""
    try:
        read(*arguments)
    except FaultwareError as error:
        return str(error)
    return ""


HUGE = 100_000
HOSTILE = {
    "one word": "x" * HUGE,
    "one path": "/" + "p" * HUGE,
    "many segments": "/a" * (HUGE // 2) + " 10% hang",
    "many stars": "/" + "*" * HUGE + " 10% hang",
    "many globs": "/**/*a" * (HUGE // 6) + " 10% hang",
    "many braces": "/{a}" * (HUGE // 4) + " 10% hang",
    "blanks": " " * HUGE,
    "separators": ";" * HUGE,
    "many rules": "/p;" * (HUGE // 3),
    "many words": "/p 10% delay " + "a " * (HUGE // 2),
    "many spreads": "/p 10% delay " + "± " * (HUGE // 2),
    "many digits": "/p " + "9" * HUGE + "% hang",
    "a long count": "/p " + "9" * HUGE + "x hang",
    "a long sum": "/p 10% delay " + "1s" * (HUGE // 2),
    "a long sum that fails": "/p 10% delay " + "1s" * (HUGE // 2) + "!",
    "a long number": "/p 10% delay " + "1" * HUGE,
    "a long fraction": "/p 10% delay 1." + "1" * HUGE + "s",
    "many pluses": "/p 10% " + "hang + " * (HUGE // 7),
    "many conditions": "/p " + "".join(f"query:{i}=1 " for i in range(HUGE // 12)) + "10% hang",
    "one condition": "/p header:x=" + "y" * HUGE + " 10% hang",
    "many methods": "GET," * (HUGE // 4) + "GET /p 10% hang",
    "a long method": "G" * HUGE + " /p 10% hang",
    "a long name": "/p 10% hang as " + "a" * HUGE,
    "a long unit": "/p 10% delay 1" + "m" * HUGE,
    "carets": "/p " + "^" * HUGE,
    "nested lists": "[" * HUGE,
    "nested mappings": '{"a":' * (HUGE // 5),
    "a long key": '{"' + "k" * HUGE + '": 1}',
    "many keys": json.dumps({str(i): i for i in range(HUGE // 10)}),
    "many rules in JSON": json.dumps([{}] * (HUGE // 4)),
    "many numbers": json.dumps(list(range(HUGE // 7))),
    "a large body": json.dumps({"percentage": 1, "abort": {"status": 503, "body": [[]] * (HUGE // 4)}}),
    "many headers": json.dumps(
        {"percentage": 1, "hang": {}, "match": {"headers": {f"h{i}": "1" for i in range(HUGE // 12)}}}
    ),
    "a long integer": "[" + "9" * HUGE + "]",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hundred_kilobytes_of_nonsense_do_no_harm(text):
    """The message stays short, and reading takes memory in proportion to the text; a blow-up would never come back."""
    tracemalloc.start()
    try:
        message = refusal(read_text, text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(message) < 20_000
    assert peak < 400 * HUGE


@pytest.mark.parametrize(
    "text",
    [
        "a: [" * (HUGE // 4),
        "- " * (HUGE // 2),
        "{" * HUGE,
        "a: " + "x" * HUGE,
        "? " * (HUGE // 2),
        "a" * HUGE + ": 1",
        "'" * (HUGE - 1),
    ],
    ids=["flow", "dashes", "braces", "scalar", "questions", "key", "quotes"],
)
def test_a_hostile_yaml_file_does_no_harm(text, tmp_path):
    path = tmp_path / "hostile.yaml"
    path.write_text(text)
    assert len(refusal(read_file, path)) < 1000


def test_a_document_that_contains_itself_is_refused():
    data = {"percentage": 10, "abort": {"status": 503}}
    data["abort"]["body"] = data
    with pytest.raises(FaultwareError, match="nested too deep"):
        read_rules(data)
