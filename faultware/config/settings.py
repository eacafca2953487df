"""The settings: which there are, what they mean, and how each is written. How they are come by, `loading` knows.

Importing this module loads pydantic-settings and with it asyncio: whoever needs it imports it inside the function that
does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  (pydantic reads the annotations)
from typing import TYPE_CHECKING, Annotated, Final, cast

from pydantic import Field, SecretStr
from pydantic_core import core_schema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from faultware.config import mesh, tokens, values
from faultware.config.addresses import Address, read_address
from faultware.config.guardlines import read_guards
from faultware.config.sources import PREFIX
from faultware.config.storeurl import read_redis_url
from faultware.core.guards import Guard  # noqa: TC001
from faultware.core.matching import PathMatch  # noqa: TC001
from faultware.core.rules import Rule  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Read:
    """How a setting is read, and how its values are written.

    Args:
        read: Gives the value, from a text as variables have it or from what a file or an argument has.
        form: What is written, for the table of settings.
    """

    read: Callable[[object], object]
    form: str

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> core_schema.CoreSchema:
        shown = core_schema.plain_serializer_function_ser_schema(_without_secret)
        return core_schema.no_info_plain_validator_function(self.read, serialization=shown)


def _without_secret(value: object) -> object:
    match value:
        case SecretStr() | Address():
            return str(value)
        case str() if value.startswith("redis"):
            return str(read_redis_url(value))
        case tuple() if value and all(isinstance(item, tokens.Token) for item in cast("tuple[object, ...]", value)):
            return [str(item) for item in cast("tuple[tokens.Token, ...]", value)]
        case _:
            return value


def _secret(read: Callable[[object], str]) -> Callable[[object], SecretStr]:
    return lambda value: SecretStr(read(value.get_secret_value() if isinstance(value, SecretStr) else value))


_SWITCH: Final = Read(values.read_switch, "`true`, `1`, `yes`, `on`; `false`, `0`, `no`, `off`, nothing")
_PATH: Final = Read(values.read_path, "a path; `~` is expanded")


class Settings(BaseSettings):
    """All settings of one service. Made by `load_settings`; the values here are as the rest of the package uses them.

    `max_delay` is in seconds, `max_percentage` in percent.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False
    )

    enabled: Annotated[bool, _SWITCH] = Field(
        default=False, description="Whether faultware does anything at all. Whoever says off wins."
    )
    armed: Annotated[bool, _SWITCH] = Field(
        default=True, description="Whether the switch is armed at the start. Whoever says off wins."
    )
    rules: Annotated[
        tuple[Rule, ...], Read(values.read_rules_value, "the one-line form; JSON if it begins with `[` or `{`")
    ] = Field(
        default=(),
        description="The rules. Those of a variable replace those of a file, which replace those of an argument.",
    )
    config_file: Annotated[Path | None, _PATH] = Field(
        default=None,
        description="A file with settings, in lower case and without prefix, and rules: .toml, .yaml, .json.",
    )
    exclude: Annotated[tuple[PathMatch, ...], Read(values.read_exclude, "paths, separated by commas")] = Field(
        default=(), description="Paths that faults never reach, whatever a rule says."
    )
    max_active_faults: Annotated[int, Read(values.read_bound, "a whole number, 0 or more")] = Field(
        default=100, description="How many requests may be delayed or hanging at once; more pass untouched."
    )
    max_delay: Annotated[float, Read(values.read_delay_bound, "a duration: `500ms`, `30s`, `1m30s`")] = Field(
        default=30.0, description="The longest a request is held, all delays together."
    )
    max_percentage: Annotated[float, Read(values.read_share, "`50` or `50%`; below 1 only with its sign: `0.5%`")] = (
        Field(default=100.0, description="The largest share of matching requests that is faulted, all rules together.")
    )
    max_faults: Annotated[int | None, Read(values.read_bound, "a whole number, 0 or more")] = Field(
        default=None, description="How many requests are faulted in all, since the switch was armed, in each process."
    )
    max_faults_per_minute: Annotated[int | None, Read(values.read_bound, "a whole number, 0 or more")] = Field(
        default=None, description="How many requests are faulted in any minute, in each process."
    )
    max_faults_per_client: Annotated[int | None, Read(values.read_bound, "a whole number, 0 or more")] = Field(
        default=None, description="How many requests of one address are faulted in any minute, in each process."
    )
    max_traffic_percentage: Annotated[
        float, Read(values.read_share, "`50` or `50%`; below 1 only with its sign: `0.5%`")
    ] = Field(default=100.0, description="The largest share of all requests that is faulted, in each process.")
    abort_when: Annotated[tuple[Guard, ...], Read(read_guards, "guards, separated by `;`")] = Field(
        default=(), description="Limits at which the switch kills itself: `error_share > 5%; p99 > 2s`."
    )
    prometheus_url: Annotated[str, Read(values.read_url, "an http or https address")] = Field(
        default="", description="Where guards ask their queries: the root of Prometheus' HTTP interface."
    )
    seed: Annotated[int | None, Read(values.read_whole, "a whole number")] = Field(
        default=None, description="Makes every decision repeatable, in every process. Not set: dice."
    )
    dry_run: Annotated[bool, _SWITCH] = Field(default=False, description="Decide and count everything, do nothing.")
    store: Annotated[
        str, Read(values.read_store, "`memory:`; `file:` and a directory; `mounted:` and a file; `redis://HOST:6379/0`")
    ] = Field(
        default="",
        repr=False,  # it may hold a password
        description="Where the switch and the rules live. Not set: shared by all workers of this service on this host.",
    )
    store_grace: Annotated[float, Read(values.read_grace, "a duration, `2s` to `1h`")] = Field(
        default=30.0, description="How long rules live on when the store does not answer; then faults stop."
    )
    control_token: Annotated[
        SecretStr | None, Read(_secret(tokens.read_token), "at least 16 printable characters without blanks")
    ] = Field(default=None, description="Opens the control endpoint for everything. No token: no control endpoint.")
    control_token_file: Annotated[Path | None, _PATH] = Field(
        default=None,
        description="A file that holds that token; a final newline is dropped. Read again when it changes.",
    )
    control_tokens: Annotated[
        tuple[tokens.Token, ...], Read(tokens.read_tokens, "`NAME:ROLE:TOKEN`, separated by commas")
    ] = Field(
        default=(),
        description="Tokens with names and roles: `view`, `kill` (and view), `control` (everything).",
    )
    control_tokens_file: Annotated[Path | None, _PATH] = Field(
        default=None,
        description="A file with such tokens, one a line; `#` begins a comment. Read again when it changes.",
    )
    control_path: Annotated[str, Read(values.read_control_path, "a path without a final `/`")] = Field(
        default="/_faultware", description="Where the control endpoint is mounted."
    )
    control_hosts: Annotated[
        tuple[str, ...], Read(values.read_hosts, "host names, separated by commas; `*` is any")
    ] = Field(
        default=(), description="Names under which the control endpoint may be called, besides this machine's own."
    )
    control_listen: Annotated[
        Address | None, Read(read_address, "an IP address and a port, or `unix:` and an absolute path")
    ] = Field(
        default=None,
        description="A socket of its own for the control endpoint, which is then not below the service's own address.",
    )
    fault_signing_key: Annotated[
        SecretStr | None, Read(_secret(tokens.read_key), "at least 32 printable characters without blanks")
    ] = Field(default=None, description="Lets whoever has it ask for faults on its own requests. Not set: nobody may.")
    fault_signing_key_file: Annotated[Path | None, _PATH] = Field(
        default=None,
        description="A file that holds that key; a final newline is dropped. Read again when it changes.",
    )
    fault_propagation: Annotated[bool, _SWITCH] = Field(
        default=False,
        description="Heed signed fault requests in the header `baggage`, too, and let the application pass them on.",
    )
    kill_file: Annotated[Path | None, _PATH] = Field(
        default=None, description="While this file exists, the switch is killed."
    )
    mark_responses: Annotated[bool, _SWITCH] = Field(
        default=True, description="Name the rule and the fault in the response header `faultware-fault`."
    )
    allow_production: Annotated[bool, _SWITCH] = Field(
        default=False, description="Let faults happen where `environment` is production, prod or live."
    )
    allow_instance_faults: Annotated[bool, _SWITCH] = Field(
        default=False,
        description="Let faults harm the process itself: `kill`, `cpu`, `memory`, `block`, `descriptors`.",
    )
    envoy_runtime: Annotated[
        tuple[tuple[str, int], ...], Read(mesh.read_runtime, "`fault.http.abort.abort_percent=10`, with commas between")
    ] = Field(default=(), description="Envoy's runtime keys, for an Envoy document in `config_file`.")
    envoy_headers: Annotated[bool, _SWITCH] = Field(
        default=False, description="Heed `x-envoy-fault-*` headers, on rules with `by_headers`, of those named next."
    )
    envoy_headers_from: Annotated[
        tuple[str, ...], Read(mesh.read_networks, "addresses and networks, separated by commas; `*` is everybody")
    ] = Field(default=(), description="Whose `x-envoy-fault-*` headers are heeded, by the peer's address.")
    stats_style: Annotated[str, Read(mesh.read_stats_style, "`envoy`, or nothing")] = Field(
        default="", description="Show Envoy's names of counters besides ours: `envoy_http_fault_aborts_injected`, …"
    )
    environment: Annotated[str, Read(values.read_word, "a word; case does not count")] = Field(
        default="", description="What this deployment is called."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` gives.

        It reads the sources itself: it must know where each value came from, to name that place in an error and to let
        *off* win; and no `.env` file is read unless asked for.
        """
        return (init_settings,)


NAMES: Final = tuple(Settings.model_fields)
SWITCHES: Final = tuple(
    name for name, field in Settings.model_fields.items() if any(item is _SWITCH for item in field.metadata)
)
