"""The errors faultware raises on its own account, and the exceptions it injects.

FaultwareError
├── ConfigurationError        what somebody wrote cannot be used: names the place, the value, what would be right
│   ├── RuleError             … in a rule, whatever the form it was written in
│   └── SettingsError         … in a variable, an argument or a file
├── ConflictError             the state is not the one the caller took for granted
├── MissingExtraError         an optional part is not installed: names the command that installs it
└── StoreError                the shared state cannot be read or written

`InjectedFault` and `InjectedDisconnect` are none of them: they belong to the application under test, not to faultware.
This module imports nothing.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "ConflictError",
    "FaultwareError",
    "InjectedDisconnect",
    "InjectedFault",
    "MissingExtraError",
    "RuleError",
    "SettingsError",
    "StoreError",
]


class FaultwareError(Exception):
    """The root of everything faultware raises on its own account."""


class ConfigurationError(FaultwareError):
    """Something a person wrote cannot be used.

    Args:
        message: What is wrong, with the offending value.
        where: The place: a rule's name and field, a variable, a file with line and column.
        hint: What would be right.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def inside(self, where: str) -> ConfigurationError:
        """The same error, seen from further outside: `where` is put before its place."""
        if not self.where:
            place = where
        elif self.where.startswith("["):
            place = f"{where}{self.where}"
        else:
            place = f"{where}.{self.where}"
        return type(self)(self.message, where=place, hint=self.hint)


class RuleError(ConfigurationError, ValueError):
    """A rule, a match or a fault is not possible as written."""


class SettingsError(ConfigurationError):
    """A setting is unknown, unreadable or contradicts another one."""


class ConflictError(FaultwareError):
    """The state is not the one the caller took for granted: a version that has passed, a switch that a file holds."""


class MissingExtraError(FaultwareError):
    """A part that is installed on request is needed here.

    Args:
        what: What needs it, as the beginning of a sentence.
        extra: The name of the extra.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra: pip install 'faultware[{extra}]'")
        self.extra = extra


class StoreError(FaultwareError):
    """The store that holds the switch and the rules does not answer, or answers nonsense."""


class InjectedFault(Exception):  # noqa: N818  (it is a fault that was asked for, not an error of ours)
    """What `raise InjectedFault` throws: always registered, so that an exception can be tried without any set-up."""


class InjectedDisconnect(ConnectionResetError):  # noqa: N818  (as above)
    """What a test's in-process client meets where a client behind a real server would find its connection ended.

    Such clients (Starlette's `TestClient`, HTTPX's `ASGITransport`, Werkzeug's `Client`) have no socket that a fault
    could hurt.
    """
