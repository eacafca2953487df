"""An Envoy that reads its routes from a file, anew for each example: cheap enough for generated configurations.

A route that answers with a number tells when Envoy has taken a table into use.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from tests.interop.asking import Ask
from tests.interop.families import Document, fault
from tests.interop.mesh import FAULT, MANAGER, ROUTER
from tests.servers.harness import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "generated"
VERSION = "version.test"
_LOOPBACK = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
NOTHING = {"envoy.filters.http.fault": {"@type": FAULT}}


def answer(text: str) -> Document:
    """An action that lets Envoy answer by itself."""
    return {"direct_response": {"status": 200, "body": {"inline_string": text}}}


class Routes:
    """The file.

    Args:
        directory: Where it is.
        filters: The fault filters of the chain.
    """

    def __init__(self, directory: Path, *filters: Document) -> None:
        self.file = directory / "routes.json"
        self._filters = filters or (fault(),)
        self._numbers = itertools.count(1)
        self._write([], {})

    def configuration(self) -> Document:
        """The bootstrap: one listener, which reads its routes from the file."""
        source = {"path_config_source": {"path": str(self.file)}, "resource_api_version": "V3"}
        manager = {
            "@type": MANAGER,
            "stat_prefix": NAME,
            "generate_request_id": False,
            "http_filters": [*self._filters, {"name": "router", "typed_config": {"@type": ROUTER}}],
            "rds": {"route_config_name": NAME, "config_source": source},
        }
        listener = {
            "name": NAME,
            "address": _LOOPBACK,
            "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
        }
        node = {"id": "a", "cluster": "a"}
        return {"admin": {"address": _LOOPBACK}, "node": node, "static_resources": {"listeners": [listener]}}

    def use(self, client, hosts: Sequence[Document], **table: object) -> None:
        """Put virtual hosts into use."""
        number = self._write(hosts, table)
        ask = Ask("/", (("host", VERSION),))
        eventually(lambda: client.send(ask, "")[0].body == number, f"Envoy to take {hosts}", pause=0.003)

    def _write(self, hosts: Sequence[Document], table: Document) -> bytes:
        number = str(next(self._numbers))
        # Whatever is faulted, this is not.
        spared = {"match": {"prefix": "/"}, "typed_per_filter_config": NOTHING, **answer(number)}
        version = {"name": "version", "domains": [VERSION], "routes": [spared]}
        kind = {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": NAME}
        resources = [{**kind, **table, "virtual_hosts": [version, *hosts]}]
        # Envoy watches for a file that is moved into its place.
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"version_info": number, "resources": resources}))
        fresh.rename(self.file)
        return number.encode()
