"""Values of settings that concern meshes."""

from __future__ import annotations

import pytest

from faultware.config.mesh import read_runtime
from faultware.errors import RuleError


@pytest.mark.parametrize("value", ["a.b=1, c=2", {"a.b": 1, "c": 2}, (("a.b", 1), ("c", 2))])
def test_runtime_keys_are_a_text_a_mapping_or_pairs(value):
    assert read_runtime(value) == (("a.b", 1), ("c", 2))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((None,), "a list is not a mapping (fault.http.abort.abort_percent=10)"),
        ((("a",),), "a list is not a mapping (fault.http.abort.abort_percent=10)"),
        (7, "7 is not a mapping (fault.http.abort.abort_percent=10)"),
        ({"a": True}, "true is not possible for a (a whole number from 0 to 4294967295)"),
        ({7: 1}, "7 is not a runtime key (such as fault.http.abort.abort_percent)"),
    ],
)
def test_what_are_no_runtime_keys_is_refused(value, message):
    with pytest.raises(RuleError) as caught:
        read_runtime(value)
    assert str(caught.value) == message
