"""Loads the settings: how the environment, a file and arguments are weighed up.

The environment wins over the file, and the file over arguments; for the two switches whoever says *off* wins. A
service that is not enabled needs nothing but the right names of its variables. Importing this module loads
pydantic-settings and with it asyncio, as `settings` does.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from pydantic import ValidationError

from faultware.config import mesh, tokens, values
from faultware.config.mistakes import seen_from, together
from faultware.config.settings import NAMES, SWITCHES, Settings
from faultware.config.sources import Source, arguments_source, file_source, variables_source
from faultware.errors import ConfigurationError, RuleError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

_log = logging.getLogger("faultware")

# Takes a path and Envoy's runtime keys; gives the settings a foreign file stands for, None: it is ours.
Foreign: TypeAlias = "Callable[[Path, Mapping[str, int]], dict[str, object] | None]"

PRODUCTION: Final = frozenset({"production", "prod", "live"})
# Settings that may stand in a file of their own, and how that is read.
_FILES: Final[Mapping[str, Callable[[Path], object]]] = {
    "control_token": tokens.read_token_file,
    "control_tokens": tokens.read_tokens_file,
    "fault_signing_key": tokens.read_key_file,
}
_KEYS: Final = ("fault_signing_key", "fault_signing_key_file")
_TOKENS: Final = ("control_token", "control_token_file", "control_tokens", "control_tokens_file")


def load_settings(
    environ: Mapping[str, str] | None = None, *, foreign: Foreign | None = None, **arguments: object
) -> Settings:
    """Read the settings.

    Args:
        environ: The environment; left out: that of this process.
        foreign: Reads a configuration file that is not ours.
        arguments: Settings by name, as a middleware was given them; None is not given.

    Returns:
        The settings; the defaults, not enabled, when nobody enables faultware or somebody says off.

    Raises:
        ConfigurationError: A setting is unknown, cannot be used, or contradicts another; all mistakes together, each
            with its variable, argument or file. A `RuleError` if only rules are concerned, else a `SettingsError`. Of a
            service that is not enabled only the names and the values of `enabled` are looked at, and its configuration
            file only if nothing but that file could enable it.
        MissingExtraError: The file is YAML, and PyYAML is not installed.
    """
    mistakes: list[ConfigurationError] = []
    variables = variables_source(os.environ if environ is None else environ, NAMES, SWITCHES, mistakes)
    sources = [variables, arguments_source(arguments, NAMES, mistakes)]
    said = _switches("enabled", sources, mistakes)
    if False not in said:
        file = _file(sources, mistakes, foreign)
        sources.insert(1, file)
        said += _switches("enabled", [file], mistakes)
    if said and all(said):
        return _weighed(sources, mistakes)
    if mistakes:
        raise together(mistakes)
    # The mistake that is made first. A file may say what is missing, or off.
    if not said and "rules" in variables.values and not any("config_file" in source.values for source in sources):
        _log.warning("FAULTWARE_RULES does nothing, since faultware is not enabled: set FAULTWARE_ENABLED=true")
    return Settings()


def _switches(name: str, sources: Iterable[Source], mistakes: list[ConfigurationError]) -> list[bool]:
    """What each source that says anything says about a switch."""
    said: list[bool] = []
    for source in sources:
        if name in source.values:
            try:
                said.append(values.read_switch(source.values[name]))
            except RuleError as error:
                mistakes.append(seen_from(error, source.label(name), SettingsError))
    return said


def _file(sources: Sequence[Source], mistakes: list[ConfigurationError], foreign: Foreign | None) -> Source:
    """The settings in the file that the first of the sources names; empty, if none does."""
    for source in sources:
        if "config_file" in source.values:
            try:
                path = values.read_path(source.values["config_file"])
                if path is None:
                    return Source({})
                found = None if foreign is None else foreign(path, _runtime(sources, mistakes))
                return file_source(path, NAMES, mistakes) if found is None else Source(found, before=f"{path}: ")
            except (RuleError, SettingsError) as error:
                mistakes.append(seen_from(error, source.label("config_file"), SettingsError))
                del source.values["config_file"]
                break
    return Source({})


def _runtime(sources: Sequence[Source], mistakes: list[ConfigurationError]) -> Mapping[str, int]:
    """The runtime keys, which are wanted before all other settings."""
    for source in sources:
        if "envoy_runtime" in source.values:
            try:
                return dict(mesh.read_runtime(source.values["envoy_runtime"]))
            except RuleError as error:
                mistakes.append(seen_from(error, source.label("envoy_runtime"), SettingsError))
                del source.values["envoy_runtime"]
    return {}


def _weighed(sources: Sequence[Source], mistakes: list[ConfigurationError]) -> Settings:
    """The settings that follow from the sources, the first of which wins, except for the switches."""
    given: dict[str, object] = {}
    labels: dict[str, str] = {}
    for source in reversed(sources):
        given.update(source.values)
        labels.update((name, source.label(name)) for name in source.values)
    _refuse_quoted(given, labels, mistakes)
    given["enabled"] = True
    given["armed"] = all(_switches("armed", sources, mistakes))
    for name, read in _FILES.items():
        _read_secret_file(name, read, given, labels, mistakes)
    try:
        settings = Settings(**cast("Any", given))
    except ValidationError as error:
        mistakes += [_mistake(detail, labels) for detail in error.errors(include_url=False, include_input=False)]
        raise together(mistakes) from None
    # What was given and is refused is not missing.
    refused = labels.keys() - given.keys()
    if settings.envoy_headers and not settings.envoy_headers_from and "envoy_headers_from" not in refused:
        hint = "set FAULTWARE_ENVOY_HEADERS_FROM to addresses or networks; * is everybody"
        mistakes.append(SettingsError("nobody is trusted to send them", where=labels["envoy_headers"], hint=hint))
    if settings.fault_propagation and settings.fault_signing_key is None and refused.isdisjoint(_KEYS):
        hint = "set FAULTWARE_FAULT_SIGNING_KEY or FAULTWARE_FAULT_SIGNING_KEY_FILE"
        message = "there is no key, so nobody could sign anything"
        mistakes.append(SettingsError(message, where=labels["fault_propagation"], hint=hint))
    if settings.environment in PRODUCTION and not settings.allow_production:
        hint = "set FAULTWARE_ALLOW_PRODUCTION=true if they are wanted there"
        message = f"faults are refused in {settings.environment}"
        mistakes.append(SettingsError(message, where=labels["environment"], hint=hint))
    has_token = settings.control_token is not None or bool(settings.control_tokens)
    if settings.control_listen is not None and not has_token and refused.isdisjoint(_TOKENS):
        hint = "set FAULTWARE_CONTROL_TOKEN, FAULTWARE_CONTROL_TOKENS or one of their files"
        message = "there is no token, so nobody could use it"
        mistakes.append(SettingsError(message, where=labels["control_listen"], hint=hint))
    if mistakes:
        raise together(mistakes)
    return settings


def _refuse_quoted(given: dict[str, object], labels: Mapping[str, str], mistakes: list[ConfigurationError]) -> None:
    """Refuse values that still stand in quotation marks, as `docker run --env-file` leaves them.

    Else `"production"` would be no production, and a token be another one. Rules know that by themselves.
    """
    for name, value in list(given.items()):
        text = value.strip() if isinstance(value, str) and name not in ("rules", "enabled", "armed") else ""
        if len(text) > 1 and text[0] in ("'", '"') and text[0] == text[-1]:
            hint = "the file that set it keeps quotes: remove them"
            mistakes.append(SettingsError("the value stands in quotation marks", where=labels[name], hint=hint))
            del given[name]


def _read_secret_file(
    name: str,
    read: Callable[[Path], object],
    given: dict[str, object],
    labels: dict[str, str],
    mistakes: list[ConfigurationError],
) -> None:
    """Put the content of a file that a setting names in place of the setting itself."""
    file = f"{name}_file"
    if file not in given:
        return
    label = labels[file]
    if name in given:
        message = f"this and {labels[name]} exclude each other"
        mistakes.append(SettingsError(message, where=label, hint="leave one out"))
        return
    try:
        path = values.read_path(given[file])
        if path is not None:
            given[name], labels[name] = read(path), label
    except (RuleError, SettingsError) as error:
        mistakes.append(seen_from(error, label, SettingsError))
        del given[file]


def _mistake(detail: ErrorDetails, labels: Mapping[str, str]) -> ConfigurationError:
    name = str(detail["loc"][0])
    cause = detail.get("ctx", {}).get("error")
    if not isinstance(cause, RuleError):
        return SettingsError("this is not possible", where=labels[name])
    if name == "rules":
        return seen_from(cause, labels[name])
    # The others are a single value each, and the variable is place enough.
    where = cause.where if name == "control_tokens" else ""
    return seen_from(RuleError(cause.message, where=where, hint=cause.hint), labels[name], SettingsError)
