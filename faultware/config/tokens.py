"""Control tokens with a name and a role each, read from a variable or a file.

Of a token only its digest is kept, and no error shows any part of what was written: a part that stands in the wrong
place may be the secret. Loads no pydantic.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, cast

from faultware.config.files import read_bytes
from faultware.core.rules import NAME, NAME_HINT
from faultware.errors import RuleError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

LEAST_TOKEN: Final = 16
LEAST_KEY: Final = 32
MOST_TOKEN: Final = 1024
MAX_TOKENS: Final = 100
# What the token of `control_token` is called; no name in a list can hold a blank.
UNNAMED: Final = "control token"
_MAX_FILE: Final = 256 * 1024


class Role(IntEnum):
    """What a token is for; each role may do what those before it may."""

    VIEW = 1
    KILL = 2
    CONTROL = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Token:
    """A token that opens the control endpoint.

    Args:
        name: Whose it is; stands in the audit trail.
        role: What it may do.
        digest: Of its bytes in UTF-8, in SHA-256.
    """

    name: str
    role: Role
    digest: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.name}:{self.role}"


def digest(token: str) -> bytes:
    """What is kept of a token, and compared. Of one length, so that a comparison tells nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def read_token(value: object) -> str:
    """A token that a Bearer header can carry. Errors never show it."""
    if not isinstance(value, str):
        raise RuleError("the token is not a text", hint="quote it")
    if len(value) < LEAST_TOKEN:
        raise RuleError(f"the token has {len(value)} characters", hint=f"at least {LEAST_TOKEN}, better 32")
    if len(value) > MOST_TOKEN:
        raise RuleError(f"the token has {len(value)} characters", hint=f"at most {MOST_TOKEN}")
    if not value.isprintable() or any(letter.isspace() for letter in value):
        raise RuleError("the token holds a blank or a control character", hint="a header cannot carry it")
    return value


def read_key(value: object) -> str:
    """A key that requests are signed with. Errors never show it."""
    if not isinstance(value, str):
        raise RuleError("the key is not a text", hint="quote it")
    if not LEAST_KEY <= len(value.encode("utf-8", "surrogatepass")) <= MOST_TOKEN:
        message = f"the key has {len(value.encode('utf-8', 'surrogatepass'))} bytes"
        raise RuleError(message, hint=f"{LEAST_KEY} to {MOST_TOKEN}, such as those of secrets.token_urlsafe(32)")
    if not value.isprintable() or any(letter.isspace() for letter in value):
        raise RuleError("the key holds a blank or a control character", hint="write it as text, such as Base64")
    return value


def read_tokens(value: object) -> tuple[Token, ...]:
    """Several tokens, `NAME:ROLE:TOKEN` each: a list, or a text with commas or line breaks between them.

    A name may have several tokens of one role, so that a new one can be given out before the old one ends.
    """
    if isinstance(value, str):
        items: list[object] = [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()]
    elif isinstance(value, Iterable) and not isinstance(value, (bytes, dict)):
        items = list(cast("Iterable[object]", value))
    else:
        raise RuleError("this is not a list of tokens", hint="NAME:ROLE:TOKEN, separated by commas")
    if len(items) > MAX_TOKENS:
        raise RuleError(f"these are {len(items)} tokens", hint=f"at most {MAX_TOKENS}")
    tokens: list[Token] = []
    for number, item in enumerate(items, start=1):
        token = _read_entry(item, f"token {number}")
        for other, earlier in enumerate(tokens, start=1):
            if earlier.digest == token.digest:
                raise RuleError(f"this is the same as token {other}", where=f"token {number}", hint="make another one")
            if earlier.name == token.name and earlier.role is not token.role:
                message = f"its name has another role in token {other}"
                raise RuleError(message, where=f"token {number}", hint="give it a name of its own")
        tokens.append(token)
    return tuple(tokens)


def read_token_file(path: Path) -> str:
    """The token that is all a file holds, but for a final line break.

    Raises:
        SettingsError: The file cannot be read.
        RuleError: What it holds is no token.
    """
    return read_token(_line(path, "token"))


def read_key_file(path: Path) -> str:
    """The key that is all a file holds, but for a final line break.

    Raises:
        SettingsError: The file cannot be read.
        RuleError: What it holds is no key.
    """
    return read_key(_line(path, "key"))


def read_tokens_file(path: Path) -> tuple[Token, ...]:
    """The tokens in a file, `NAME:ROLE:TOKEN` on a line of its own each; a line that begins with `#` is a comment.

    Raises:
        SettingsError: The file cannot be read.
        RuleError: It holds no token, or something that is none.
    """
    lines = (line.strip() for line in _text(path, "token").splitlines())
    tokens = read_tokens([line for line in lines if line and not line.startswith("#")])
    if not tokens:
        raise RuleError("there is no token in it", hint="write NAME:ROLE:TOKEN on a line of its own")
    return tokens


def _read_entry(item: object, where: str) -> Token:
    if isinstance(item, Token):
        return item
    parts = item.split(":", 2) if isinstance(item, str) else []
    if len(parts) != 3:
        raise RuleError("this is not NAME:ROLE:TOKEN", where=where, hint="such as ops:kill: and then the token")
    name, role, token = parts
    if not NAME.fullmatch(name):
        raise RuleError("its name is not possible", where=where, hint=NAME_HINT)
    known = {str(one): one for one in Role}
    if role not in known:
        raise RuleError("its role is unknown", where=where, hint=f"one of {', '.join(known)}")
    try:
        return Token(name, known[role], digest(read_token(token)))
    except RuleError as error:
        raise error.inside(where) from None


def _beginning(path: Path) -> str:
    """The first directory on the way to a file."""
    return "".join(path.parts[: 2 if path.is_absolute() else 1])


def _line(path: Path, what: str) -> str:
    """The text in a file without its final line break."""
    return _text(path, what).removesuffix("\n").removesuffix("\r")


def _text(path: Path, what: str) -> str:
    try:
        return read_bytes(path, _MAX_FILE).decode()
    except UnicodeDecodeError:
        raise RuleError(f"the {what} is not UTF-8") from None
    except SettingsError as error:
        if len(str(path)) < LEAST_TOKEN or (len(path.parts) > 1 and os.path.isdir(_beginning(path))):  # noqa: PTH112
            raise
        # It may be the secret itself: Base64 has slashes, too, but does not begin with a directory that is there.
        raise SettingsError(error.message, hint=error.hint or "the path of a file that holds it") from None
