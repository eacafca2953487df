"""The exceptions that `raise` may throw: a list the application's own code gives, and nothing else.

Nothing is imported or looked up by a name from a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from faultware.core.faults import Raise
from faultware.errors import InjectedFault, RuleError, SettingsError

Factory: TypeAlias = Callable[[], Exception]
Registration: TypeAlias = Iterable[type[Exception]] | Mapping[str, type[Exception] | Factory]

# Raised out of an application these do not mean an error: they end generators, and some servers drop the connection.
_REFUSED: Final = (StopIteration, StopAsyncIteration)


class Exceptions:
    """Registered exceptions by name; `InjectedFault` is always among them.

    Args:
        given: Exception classes, each under its own name; or a mapping from a name to a class or to a function that
            makes an exception.

    Raises:
        SettingsError: Something that is not an exception, or one that would end the worker instead of the request.
    """

    def __init__(self, given: Registration = ()) -> None:
        entries: Iterable[tuple[str, type[Exception] | Factory]]
        if isinstance(given, Mapping):
            entries = cast("Mapping[str, type[Exception] | Factory]", given).items()
        elif isinstance(given, type) or not isinstance(given, Iterable):
            raise SettingsError(f"{given!r} is not a list", where="exceptions", hint="write exceptions=[TimeoutError]")
        else:
            entries = [(_name(kind), kind) for kind in given]
            _check_names(entries)
        factories: dict[str, Factory] = {"InjectedFault": _injected_fault}
        for name, factory in entries:
            if isinstance(factory, type):
                _check(name, factory)
            elif not callable(factory):
                raise SettingsError(f"{factory!r} makes no exception", where=f"exceptions[{name!r}]")
            factories[name] = factory
        self._factories = MappingProxyType(factories)

    def check(self, faults: Iterable[object]) -> None:
        """Refuse a rule that raises what is not registered.

        Raises:
            RuleError: Naming what is.
        """
        for fault in faults:
            if isinstance(fault, Raise) and fault.exception not in self._factories:
                known = ", ".join(sorted(self._factories))
                message = f"no exception is registered as {fault.exception!r}"
                raise RuleError(message, where="raise", hint=f"names that the application registered: {known}")

    def make(self, name: str) -> Exception:
        """A new exception; one that the factory itself throws is as good."""
        made = self._factories[name]()
        if not isinstance(made, Exception) or isinstance(made, _REFUSED):
            raise SettingsError(f"{made!r} is no exception that a request can raise", where=f"exceptions[{name!r}]")
        return made


def _check_names(entries: Iterable[tuple[str, object]]) -> None:
    """Refuse two classes of one name: `ConnectionError` is one of Python's and one of requests'."""
    seen: dict[str, object] = {}
    for name, kind in entries:
        if seen.setdefault(name, kind) is not kind:
            hint = f"name them: exceptions={{{name!r}: …, 'Other{name}': …}}"
            raise SettingsError(f"two exceptions are called {name}", where="exceptions", hint=hint)


def _name(kind: object) -> str:
    name = getattr(kind, "__name__", None)
    if not isinstance(name, str):
        raise SettingsError(f"{kind!r} is not an exception class", where="exceptions")
    return name


def _check(name: str, kind: type[object]) -> None:
    if not issubclass(kind, Exception) or issubclass(kind, _REFUSED):
        hint = "a subclass of Exception, but not StopIteration or StopAsyncIteration"
        raise SettingsError(f"{kind.__name__} cannot be injected", where=f"exceptions[{name!r}]", hint=hint)


def _injected_fault() -> Exception:
    return InjectedFault("injected by faultware")
