"""What is signed, and that nothing else passes for it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faultware import RuleError
from faultware.signing import (
    HEADER,
    MAX_FAULTS,
    MAX_HOPS,
    Asked,
    Errand,
    check,
    check_errand,
    sign,
    sign_baggage,
)

KEY = "0123456789abcdef0123456789abcdef"
NOW = 1_000_000.0
NONCE = "a-nonce-of-a-test"


def signed(method="GET", path="/pay", faults="abort 503", **how):
    return sign(KEY, method, path, faults, **{"now": NOW, "nonce": NONCE, **how})


def test_the_header_is_what_the_documentation_says():
    """By hand, as a client in another language would do it."""
    parts = ["v1", "POST", "/pay/ö", "1000060", NONCE, "delay 200ms + abort 503"]
    text = b"".join(f"{len(part.encode())}:".encode() + part.encode() + b"," for part in parts)
    signature = base64.urlsafe_b64encode(hmac.new(KEY.encode(), text, hashlib.sha256).digest()).rstrip(b"=").decode()
    faults = base64.urlsafe_b64encode(parts[5].encode()).rstrip(b"=").decode()
    assert signed("POST", "/pay/ö", parts[5]) == f"v1.1000060.{NONCE}.{faults}.{signature}"
    assert HEADER == "faultware-request"


def test_what_was_signed_is_read():
    assert check(KEY.encode(), "GET", "/pay", signed()) == Asked(1_000_060, NONCE, "abort 503")
    assert check(KEY.encode(), "GET", "/pay", sign(KEY.encode(), "GET", "/pay", "abort 503")) is not None


def test_a_nonce_is_made_for_each_header():
    assert len({sign(KEY, "GET", "/", "abort 503", now=NOW) for _ in range(100)}) == 100


METHODS = st.text(st.characters(exclude_categories=("Ll", "Cs"), exclude_characters=" "), max_size=20).filter(
    lambda method: method == method.upper()
)
PATHS = st.text(max_size=20).map("/{}".format)


@given(METHODS, PATHS, st.text(min_size=1, max_size=20))
def test_nothing_is_good_for_another_request_or_with_another_key(method, path, faults):
    value = signed(method, path, faults)
    assert check(KEY.encode(), method, path, value) == Asked(1_000_060, NONCE, faults)
    for other in ((KEY.encode(), method + "x", path), (KEY.encode(), method, path + "x"), (b"x" * 32, method, path)):
        assert check(*other, value) is None


@given(st.data())
def test_a_header_in_which_anything_is_changed_is_not_signed(data):
    value = signed()
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda character: character != value[at]))
    changed = value[:at] + other + value[at + 1 :]
    read = check(KEY.encode(), "GET", "/pay", changed)
    # The last characters of a Base64 text say a little less than a character can.
    is_last = at in (len(value) - 1, value.rindex(".") - 1)
    assert read is None or (is_last and read == Asked(1_000_060, NONCE, "abort 503"))


def test_parts_cannot_be_moved_from_one_into_the_next():
    value = sign(KEY, "GET", "/pay", "abort 503", now=NOW, nonce=NONCE)
    for method, path in (("GET/", "pay"), ("GE", "T/pay"), ("", "GET/pay"), ("GET/pay", "")):
        assert check(KEY.encode(), method, path, value) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "v1",
        "v1....",
        "v2" + signed()[2:],
        signed() + "x",
        signed() + "\n",
        " " + signed(),
        signed() + ", " + signed(),
        "x" * 10_000,
        "é",
        "v1.\u0661.x",
    ],
)
def test_what_only_resembles_a_header_is_not_signed(value):
    assert check(KEY.encode(), "GET", "/pay", value) is None


def test_faults_that_are_no_text_are_not_read():
    value = signed()
    head, _, signature = value.rpartition(".")
    assert check(KEY.encode(), "GET", "/pay", f"{head.rpartition('.')[0]}._w.{signature}") is None


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"key": "short"}, "the key has 5 bytes (at least 32)"),
        ({"lifetime_seconds": 301}, "301 seconds are not possible (at most 300)"),
        ({"lifetime_seconds": 0}, "0 seconds are not possible (at most 300)"),
        ({"lifetime_seconds": float("nan")}, "nan seconds are not possible (at most 300)"),
        ({"method": "get"}, "'get' is not a method (write GET)"),
        ({"path": "pay"}, "the path 'pay' is not whole (it begins with /)"),
        ({"path": "http://shop/pay"}, "the path 'http://shop/pay' is not whole (it begins with /)"),
        ({"faults": ""}, "the faults have 0 bytes (1 to 512)"),
        ({"faults": "x" * (MAX_FAULTS + 1)}, "the faults have 513 bytes (1 to 512)"),
        ({"nonce": "short"}, "the nonce is not possible (16 to 64 letters, digits, - and _)"),
        ({"nonce": "with.dots.inside.it"}, "the nonce is not possible (16 to 64 letters, digits, - and _)"),
    ],
)
def test_what_cannot_be_signed_is_told(how, message):
    given = {"key": KEY, "method": "GET", "path": "/", "faults": "abort 503", **how}
    with pytest.raises(RuleError) as caught:
        sign(given.pop("key"), given.pop("method"), given.pop("path"), given.pop("faults"), **given)
    assert str(caught.value) == message


# What is to happen further on.


def errand(method="POST", path="/charge", faults="abort 503", **how):
    return sign_baggage(KEY, method, path, faults, **{"now": NOW, "nonce": NONCE, **how})


def value(**how):
    return errand(**how).removeprefix("faultware-request=")


def test_the_member_of_the_baggage_is_what_the_documentation_says():
    """By hand, as a client in another language would do it."""
    parts = ["b1", "POST", "/pay/ö", "1000060", NONCE, "2", "delay 200ms + abort 503"]
    text = b"".join(f"{len(part.encode())}:".encode() + part.encode() + b"," for part in parts)
    signature = base64.urlsafe_b64encode(hmac.new(KEY.encode(), text, hashlib.sha256).digest()).rstrip(b"=").decode()
    target, faults = (
        base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in ("POST /pay/ö", parts[6])
    )
    expected = f"faultware-request=b1.1000060.{NONCE}.2.{target}.{faults}.{signature}"
    assert errand(path="/pay/ö", faults=parts[6], hops=2) == expected


def test_what_was_signed_for_further_on_is_read():
    expected = Errand(Asked(1_000_060, NONCE, "abort 503"), "POST", "/charge", 1)
    assert check_errand(KEY.encode(), value()) == expected
    assert check_errand(KEY.encode(), value().replace(".", "%2E").replace("b1", "%62%31")) == expected
    assert check_errand(b"x" * 32, value()) is None


@given(METHODS, PATHS, st.text(min_size=1, max_size=20))
def test_whatever_is_meant_is_read_as_it_was_signed(method, path, faults):
    read = check_errand(KEY.encode(), value(method=method, path=path, faults=faults))
    assert read == Errand(Asked(1_000_060, NONCE, faults), method, path, 1)


@given(st.data())
def test_a_member_in_which_anything_is_changed_is_not_signed(data):
    signed_value = value(hops=3)
    at = data.draw(st.integers(0, len(signed_value) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda character: character != signed_value[at]))
    read = check_errand(KEY.encode(), signed_value[:at] + other + signed_value[at + 1 :])
    # The last character of a Base64 text says a little less than a character can.
    assert read is None or read == Errand(Asked(1_000_060, NONCE, "abort 503"), "POST", "/charge", 3)


def test_who_passes_something_on_takes_a_hop_and_adds_no_time():
    first = check_errand(KEY.encode(), value(hops=2))
    passed = [check_errand(KEY.encode(), first.passed_on(KEY.encode())) for _ in range(2)]
    for one in passed:
        assert (one.hops, one.method, one.path) == (1, "POST", "/charge")
        assert (one.asked.expires_at, one.asked.faults) == (first.asked.expires_at, "abort 503")
    assert len({first.asked.nonce, *(one.asked.nonce for one in passed)}) == 3


def test_a_member_of_the_baggage_is_no_header_and_a_header_no_member():
    assert check(KEY.encode(), "POST", "/charge", value()) is None
    assert check_errand(KEY.encode(), signed("POST", "/charge")) is None
    head, _, signature = signed("POST", "/charge").rpartition(".")
    asked = check(KEY.encode(), "POST", "/charge", f"{head}.{signature}")
    for hops in range(MAX_HOPS + 1):
        target = base64.urlsafe_b64encode(b"POST /charge").rstrip(b"=").decode()
        faults = base64.urlsafe_b64encode(asked.faults.encode()).rstrip(b"=").decode()
        forged = f"b1.{asked.expires_at}.{asked.nonce}.{hops}.{target}.{faults}.{signature}"
        assert check_errand(KEY.encode(), forged) is None


@pytest.mark.parametrize(
    "text", ["", "b1", "b1......", "x" * 10_000, "%", "%00", "é", value(hops=5).replace(".5.", ".6."), value() + "\n"]
)
def test_what_only_resembles_a_member_is_not_signed(text):
    assert check_errand(KEY.encode(), text) is None


def test_a_member_that_is_nothing_but_escapes_is_not_decoded():
    assert check_errand(KEY.encode(), "".join(f"%{ord(character):02X}" for character in value())) is None


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"hops": -1}, "-1 hops are not possible (0 to 5)"),
        ({"hops": 6}, "6 hops are not possible (0 to 5)"),
        ({"hops": 1.5}, "1.5 hops are not possible (0 to 5)"),
        ({"path": "/" + "x" * 1024}, "the method and the path are too long (at most 1024 bytes)"),
        ({"lifetime_seconds": 301}, "301 seconds are not possible (at most 300)"),
        ({"nonce": "x"}, "the nonce is not possible (16 to 64 letters, digits, - and _)"),
        ({"faults": ""}, "the faults have 0 bytes (1 to 512)"),
    ],
)
def test_what_cannot_be_signed_for_further_on_is_refused(how, message):
    with pytest.raises(RuleError) as caught:
        errand(**how)
    assert str(caught.value) == message
