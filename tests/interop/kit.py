"""Short ways to import and export in tests."""

from __future__ import annotations

import json

from faultware.interop.istiomatch import Caller
from faultware.interop.load import Surroundings, import_text
from tests.interop.mesh import FAULT


def envoy(document, **around):
    """What a document of Envoy, as YAML or data, becomes."""
    text = document if isinstance(document, str) else json.dumps(document)
    return import_text(text, "f.yaml", origin="envoy", around=Surroundings(**around))


def istio(*routes, caller=None, **spec):
    """What a VirtualService with these routes, as YAML, becomes."""
    return import_text(service(*routes, **spec), "f.yaml", around=Surroundings(caller=caller or Caller()))


def service(*routes, name="shop", **spec):
    """A VirtualService, as YAML; a line for each route, from line 6 on."""
    lines = [
        "apiVersion: networking.istio.io/v1",
        "kind: VirtualService",
        f"metadata: {{name: {name}}}",
        f"spec: {{{', '.join(f'{key}: {value}' for key, value in {'hosts': '[shop]', **spec}.items())},",
        " http: [",
        *(f"  {route}," for route in routes),
        " ]}",
    ]
    return "\n".join(lines) + "\n"


def toxics(*found, **proxy):
    """What a proxy with these toxics becomes."""
    document = [{"name": "db", "listen": "a:1", "upstream": "b:1", "toxics": list(found), **proxy}]
    return import_text(json.dumps(document), "f.json", is_json=True)


def chain(*filters, **more):
    """A connection manager's filters, each by its name and content."""
    entries = [{"name": name, "typed_config": {"@type": FAULT, **config}} for name, config in filters]
    return {"http_filters": entries, **more}


def said(imported):
    """Every remark, as text."""
    return [str(remark) for remark in imported.remarks]
