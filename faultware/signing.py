"""Faults that a client asks for on its own requests: what is signed, and how. For test clients and faultware itself.

A client that holds the key sends one header, `faultware-request`:

    v1.EXPIRES.NONCE.FAULTS.SIGNATURE

EXPIRES is a time in whole seconds since the epoch, NONCE a text that is used once, FAULTS what is asked for in the
one-line form (`delay 200ms + abort 503`) and SIGNATURE an HMAC-SHA256, both in URL-safe Base64 without padding. What is
signed is the request's method and path, too, so that a header that somebody has seen is good for nothing else.
Imports nothing of faultware but its errors.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final

from faultware.errors import RuleError

__all__ = ["HEADER", "MAX_FAULTS", "MAX_LIFETIME_SECONDS", "MIN_KEY", "Asked", "check", "sign"]

HEADER: Final = "faultware-request"
MAX_LIFETIME_SECONDS: Final = 300
MAX_FAULTS: Final = 512
MIN_KEY: Final = 32

_VERSION: Final = "v1"
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_VALUE: Final = re.compile(
    rf"v1\.([0-9]{{1,12}})\.({_NONCE.pattern})\.([A-Za-z0-9_-]{{1,700}})\.([A-Za-z0-9_-]{{43}})", re.ASCII
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
        RuleError: The key is too short, the lifetime too long, the nonce not possible or the text of the faults too
            long. Whether the faults can be read, only the service says.
    """
    if len(_bytes(key)) < MIN_KEY:
        raise RuleError(f"the key has {len(_bytes(key))} bytes", hint=f"at least {MIN_KEY}")
    if not 0 < lifetime_seconds <= MAX_LIFETIME_SECONDS:
        raise RuleError(f"{lifetime_seconds} seconds are not possible", hint=f"at most {MAX_LIFETIME_SECONDS}")
    if not 0 < len(faults.encode()) <= MAX_FAULTS:
        raise RuleError(f"the faults have {len(faults.encode())} bytes", hint=f"1 to {MAX_FAULTS}")
    nonce = secrets.token_urlsafe(18) if nonce is None else nonce
    if not _NONCE.fullmatch(nonce):
        raise RuleError("the nonce is not possible", hint="16 to 64 letters, digits, - and _")
    expires_at = int((time.time() if now is None else now) + lifetime_seconds)
    signature = _signature(_bytes(key), method, path, Asked(expires_at, nonce, faults))
    return ".".join([_VERSION, str(expires_at), nonce, _encoded(faults.encode()), _encoded(signature)])


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
    return asked if hmac.compare_digest(signature, _signature(key, method, path, asked)) else None


def _signature(key: bytes, method: str, path: str, asked: Asked) -> bytes:
    # Each part with its length in front (a netstring), so that no two requests have the same text.
    parts = (_VERSION, method, path, str(asked.expires_at), asked.nonce, asked.faults)
    text = b"".join(b"%d:%b," % (len(part), part) for part in (part.encode("utf-8", "surrogatepass") for part in parts))
    return hmac.new(key, text, hashlib.sha256).digest()


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
