"""Faults that a client asks for on its own requests: what is signed, and how. For test clients and faultware itself.

A client that holds the key sends one header, `faultware-request`:

    v1.EXPIRES.NONCE.FAULTS.SIGNATURE

EXPIRES is a time in whole seconds since the epoch, NONCE a text that is used once, FAULTS what is asked for in the
one-line form (`delay 200ms + abort 503`) and SIGNATURE an HMAC-SHA256, both in URL-safe Base64 without padding. What is
signed is the request's method and path, too, so that a header that somebody has seen is good for nothing else.

What is to happen further on, in a service that the one which is asked calls, travels in the header `baggage` (W3C
Baggage) as the member `faultware-request`:

    b1.EXPIRES.NONCE.HOPS.TARGET.FAULTS.SIGNATURE

TARGET is the method and the path of the request that is meant, with a blank between them, and HOPS says how many
services may still pass it on. Imports nothing of faultware but its errors.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from faultware.errors import RuleError

__all__ = [
    "HEADER",
    "MAX_FAULTS",
    "MAX_HOPS",
    "MAX_LIFETIME_SECONDS",
    "MAX_TARGET",
    "MIN_KEY",
    "Asked",
    "Errand",
    "check",
    "check_errand",
    "sign",
    "sign_baggage",
]

HEADER: Final = "faultware-request"
MAX_LIFETIME_SECONDS: Final = 300
MAX_FAULTS: Final = 512
MIN_KEY: Final = 32
MAX_HOPS: Final = 5
MAX_TARGET: Final = 1024

_SHOWN: Final = 60
# A member needs none, and decoding thousands takes longer than all the rest.
_MOST_ESCAPES: Final = 64
_VERSION: Final = "v1"
_ERRAND: Final = "b1"
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_VALUE: Final = re.compile(
    rf"v1\.([0-9]{{1,12}})\.({_NONCE.pattern})\.([A-Za-z0-9_-]{{1,700}})\.([A-Za-z0-9_-]{{43}})", re.ASCII
)
_ERRAND_VALUE: Final = re.compile(
    rf"b1\.([0-9]{{1,12}})\.({_NONCE.pattern})\.([0-{MAX_HOPS}])\.([A-Za-z0-9_-]{{1,1400}})\.([A-Za-z0-9_-]{{1,700}})"
    r"\.([A-Za-z0-9_-]{43})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a header asks for, once its signature is known to be right.

    Args:
        expires_at: In seconds since the epoch.
        nonce: Used once.
        faults: In the one-line form; not looked at yet.
    """

    expires_at: int
    nonce: str
    faults: str


@dataclass(frozen=True, slots=True)
class Errand:
    """What a member of the baggage asks for, once its signature is known to be right.

    Args:
        asked: Until when, and what.
        method: Of the request that is meant.
        path: Of that request.
        hops: How many services may still pass it on.
    """

    asked: Asked
    method: str
    path: str
    hops: int

    def passed_on(self, key: bytes) -> str:
        """The member of the baggage for a call: one hop less, the same end, and a nonce of its own.

        So one request may lead to several calls, each of which is heard, and none of them twice.
        """
        asked = replace(self.asked, nonce=secrets.token_urlsafe(18))
        return _member(key, replace(self, asked=asked, hops=self.hops - 1))


def sign(
    key: str | bytes,
    method: str,
    path: str,
    faults: str,
    *,
    lifetime_seconds: float = 60,
    now: float | None = None,
    nonce: str | None = None,
) -> str:
    """The value of the header `faultware-request` that asks for faults on one request.

    ```python
    headers = {"faultware-request": sign(key, "GET", "/payments", "delay 200ms + abort 503")}
    ```

    Args:
        key: That of `FAULTWARE_FAULT_SIGNING_KEY`.
        method: Of the request, in capitals.
        path: Of the request, decoded and without the query, as the application routes by it.
        faults: What is to happen, as it stands behind the share in the one-line form.
        lifetime_seconds: How long the header is good for; 300 at most.
        now: Seconds since the epoch; left out: the time.
        nonce: 16 to 64 letters, digits, `-` and `_`; left out: a random one.

    Raises:
        RuleError: The method is not in capitals, the path does not begin with `/`, the key is too short, the lifetime
            too long, the nonce not possible or the text of the faults too long. Whether the faults can be read, only
            the service says.
    """
    asked = _asked(key, method, path, faults, lifetime_seconds, now, nonce)
    signature = _signature(_bytes(key), _parts(method, path, asked))
    parts = [_VERSION, str(asked.expires_at), asked.nonce, _encoded(faults.encode()), _encoded(signature)]
    return ".".join(parts)


def sign_baggage(
    key: str | bytes,
    method: str,
    path: str,
    faults: str,
    *,
    hops: int = 1,
    lifetime_seconds: float = 60,
    now: float | None = None,
    nonce: str | None = None,
) -> str:
    """The value of the header `baggage` that asks for faults on a request further on, which this one leads to.

    ```python
    headers = {"baggage": sign_baggage(key, "POST", "/charge", "abort 503")}
    ```

    Args:
        key: That of `FAULTWARE_FAULT_SIGNING_KEY`, which all services on the way have.
        method: Of the request that is meant, in capitals.
        path: Of that request, decoded and without the query, as its application routes by it.
        faults: What is to happen, as it stands behind the share in the one-line form.
        hops: How many services may pass it on, 0 to 5. 1: those that the service calls which is asked.
        lifetime_seconds: How long all of that is good for; 300 at most.
        now: Seconds since the epoch; left out: the time.
        nonce: 16 to 64 letters, digits, `-` and `_`; left out: a random one.

    Raises:
        RuleError: As of `sign`; or the hops are not possible, or the method and path too long.
    """
    asked = _asked(key, method, path, faults, lifetime_seconds, now, nonce)
    if hops not in range(MAX_HOPS + 1):
        raise RuleError(f"{hops} hops are not possible", hint=f"0 to {MAX_HOPS}")
    if len(_utf8(f"{method} {path}")) > MAX_TARGET:
        raise RuleError("the method and the path are too long", hint=f"at most {MAX_TARGET} bytes")
    return f"{HEADER}={_member(_bytes(key), Errand(asked, method, path, hops))}"


def check(key: bytes, method: str, path: str, value: str) -> Asked | None:
    """What a header asks for; None: it is malformed, or not signed with this key for this request.

    Says nothing of the time and of nonces.
    """
    found = _VALUE.fullmatch(value)
    if found is None:
        return None
    try:
        faults = _decoded(found[3]).decode()
        signature = _decoded(found[4])
    except (binascii.Error, UnicodeDecodeError):
        return None
    asked = Asked(int(found[1]), found[2], faults)
    return asked if hmac.compare_digest(signature, _signature(key, _parts(method, path, asked))) else None


def check_errand(key: bytes, value: str) -> Errand | None:
    """What the value of a member of the baggage asks for; None: it is malformed, or not signed with this key.

    Says nothing of the time and of nonces.
    """
    if value.count("%") > _MOST_ESCAPES:
        return None
    found = _ERRAND_VALUE.fullmatch(unquote(value))
    if found is None:
        return None
    try:
        method, blank, path = _decoded(found[4]).decode("utf-8", "surrogatepass").partition(" ")
        faults = _decoded(found[5]).decode()
        signature = _decoded(found[6])
    except (binascii.Error, UnicodeDecodeError):
        return None
    errand = Errand(Asked(int(found[1]), found[2], faults), method, path, int(found[3]))
    is_signed = hmac.compare_digest(signature, _signature(key, _errand_parts(errand)))
    return errand if blank and is_signed else None


def _asked(
    key: str | bytes,
    method: str,
    path: str,
    faults: str,
    lifetime_seconds: float,
    now: float | None,
    nonce: str | None,
) -> Asked:
    """What is going to be signed, if it is possible."""
    if method != method.upper():
        raise RuleError(f"{method[:_SHOWN]!r} is not a method", hint=f"write {method[:_SHOWN].upper()}")
    if not path.startswith("/"):
        raise RuleError(f"the path {path[:_SHOWN]!r} is not whole", hint="it begins with /")
    if len(_bytes(key)) < MIN_KEY:
        raise RuleError(f"the key has {len(_bytes(key))} bytes", hint=f"at least {MIN_KEY}")
    if not 0 < lifetime_seconds <= MAX_LIFETIME_SECONDS:
        raise RuleError(f"{lifetime_seconds} seconds are not possible", hint=f"at most {MAX_LIFETIME_SECONDS}")
    if not 0 < len(faults.encode()) <= MAX_FAULTS:
        raise RuleError(f"the faults have {len(faults.encode())} bytes", hint=f"1 to {MAX_FAULTS}")
    nonce = secrets.token_urlsafe(18) if nonce is None else nonce
    if not _NONCE.fullmatch(nonce):
        raise RuleError("the nonce is not possible", hint="16 to 64 letters, digits, - and _")
    return Asked(int((time.time() if now is None else now) + lifetime_seconds), nonce, faults)


def _member(key: bytes, errand: Errand) -> str:
    asked = errand.asked
    target = _encoded(_utf8(f"{errand.method} {errand.path}"))
    signature = _encoded(_signature(key, _errand_parts(errand)))
    head = f"{_ERRAND}.{asked.expires_at}.{asked.nonce}.{errand.hops}"
    return f"{head}.{target}.{_encoded(asked.faults.encode())}.{signature}"


def _parts(method: str, path: str, asked: Asked) -> tuple[str, ...]:
    return (_VERSION, method, path, str(asked.expires_at), asked.nonce, asked.faults)


def _errand_parts(errand: Errand) -> tuple[str, ...]:
    # Begins otherwise than those of a header, so that neither is ever good as the other.
    asked = errand.asked
    expires_at, hops = str(asked.expires_at), str(errand.hops)
    return (_ERRAND, errand.method, errand.path, expires_at, asked.nonce, hops, asked.faults)


def _signature(key: bytes, parts: tuple[str, ...]) -> bytes:
    # Each part with its length in front (a netstring), so that no two requests have the same text.
    text = b"".join(b"%d:%b," % (len(part), part) for part in map(_utf8, parts))
    return hmac.new(key, text, hashlib.sha256).digest()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
