"""Hand-written configurations of the fault filter, each with requests: what Envoy does with them, we do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.interop.asking import Ask
from tests.interop.mesh import FAULT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Document = dict[str, Any]

ALWAYS = {"numerator": 100}
ABORT = {"http_status": 503, "percentage": ALWAYS}


@dataclass(frozen=True)
class Case:
    """A configuration, and the requests that are sent to it.

    Args:
        name: Of the listener, and in errors.
        document: `http_filters`, and `route_config` where it matters.
        asks: The requests.
    """

    name: str
    document: Document
    asks: tuple[Ask, ...]


def fault(name: str = "envoy.filters.http.fault", **config: Any) -> Document:
    """An entry of `http_filters`."""
    return {"name": name, "typed_config": {"@type": FAULT, **config}}


def alone(**config: Any) -> Document:
    """One filter and no routes."""
    return {"http_filters": [fault(**config)]}


def override(**config: Any) -> Document:
    """What stands in `typed_per_filter_config`."""
    return {"envoy.filters.http.fault": {"@type": FAULT, **config}}


VALUES = (
    (),
    ("",),
    ("Bar",),
    ("bar",),
    ("Barn",),
    ("a Bar b",),
    ("7",),
    ("+07",),
    ("7x",),
    ("-1",),
    ("9223372036854775808",),
    ("caf\xc3\xa9",),
    ("caf\xe9",),
    ("Bar", "foo"),
    ("foo", "Bar"),
    ("foo, Bar",),
)
STRING_MATCHERS: Mapping[str, Document] = {
    "exact": {"string_match": {"exact": "Bar"}},
    "exact-nothing": {"string_match": {"exact": ""}},
    "exact-nocase": {"string_match": {"exact": "bAR", "ignore_case": True}},
    "exact-accent": {"string_match": {"exact": "café"}},
    "prefix": {"string_match": {"prefix": "Ba"}},
    "prefix-nocase": {"string_match": {"prefix": "BA", "ignore_case": True}},
    "suffix": {"string_match": {"suffix": "rn"}},
    "contains": {"string_match": {"contains": "Bar"}},
    "contains-nocase": {"string_match": {"contains": "bAr", "ignore_case": True}},
    "regex": {"string_match": {"safe_regex": {"regex": "Ba."}}},
    "regex-all": {"string_match": {"safe_regex": {"regex": ".*"}}},
    "regex-flags": {"string_match": {"safe_regex": {"regex": "b(?i)AR|[[:digit:]]+x?"}}},
    "regex-bytes": {"string_match": {"safe_regex": {"regex": "caf."}}},
    "regex-accent": {"string_match": {"safe_regex": {"regex": "caf[é]+"}}},
    "regex-quote": {"string_match": {"safe_regex": {"regex": r"\QBar\E\z"}}},
    "range": {"range_match": {"start": -1, "end": 8}},
    "range-nothing": {"range_match": {"start": 8, "end": 8}},
    "range-default": {"range_match": {}},
    "present": {"present_match": True},
    "absent": {"present_match": False},
    "name-alone": {},
    "old-exact": {"exact_match": "Bar"},
    "old-exact-nothing": {"exact_match": ""},
    "old-prefix": {"prefix_match": "Ba"},
    "old-suffix": {"suffix_match": "ar"},
    "old-contains": {"contains_match": "ar"},
    "old-regex": {"safe_regex_match": {"regex": "B.*"}},
}
_FLAGS: Mapping[str, Document] = {
    "": {},
    "-inverted": {"invert_match": True},
    "-empty": {"treat_missing_header_as_empty": True},
    "-inverted-empty": {"invert_match": True, "treat_missing_header_as_empty": True},
}


def header_matchers() -> Iterator[Case]:
    """Each kind of matcher, plain, inverted, and with an absent header as an empty one."""
    asks = tuple(Ask("/", tuple(("X-H", value) for value in lines), only_asgi=len(lines) > 1) for lines in VALUES)
    for kind, matcher in STRING_MATCHERS.items():
        for suffix, flags in _FLAGS.items():
            yield Case(f"{kind}{suffix}", alone(abort=ABORT, headers=[{"name": "x-h", **matcher, **flags}]), asks)


PATHS = (
    "/",
    "/api",
    "/api/",
    "/api?q=1",
    "/apix",
    "/api/v1?x=/api",
    "/%61pi",
    "//api",
    "/API",
    "/api%2Fv1",
    "/other?/api",
)
PSEUDO: Mapping[str, Document] = {
    "path-exact": {"name": ":path", "string_match": {"exact": "/api"}},
    "path-query": {"name": ":path", "string_match": {"exact": "/api?q=1"}},
    "path-prefix": {"name": ":path", "string_match": {"prefix": "/api"}},
    "path-prefix-nocase": {"name": ":path", "string_match": {"prefix": "/api", "ignore_case": True}},
    "path-suffix": {"name": ":path", "string_match": {"suffix": "/api"}},
    "path-contains": {"name": ":path", "string_match": {"contains": "api/"}},
    "path-regex": {"name": ":path", "string_match": {"safe_regex": {"regex": r"/api(/.*)?(\?.*)?"}}},
    "path-inverted": {"name": ":path", "string_match": {"prefix": "/api"}, "invert_match": True},
    "path-encoded": {"name": ":path", "string_match": {"contains": "%2F"}},
    "path-present": {"name": ":path", "present_match": True},
    "path-absent": {"name": ":path", "present_match": False},
}
HOSTS = ("shop.test", "Shop.Test", "shop.test:8080", "a.shop.test", "")
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH")


def pseudo_headers() -> Iterator[Case]:
    """What a request line and its host say."""
    for name, matcher in PSEUDO.items():
        yield Case(name, alone(abort=ABORT, headers=[matcher]), tuple(map(Ask, PATHS)))
    for name, header in (("authority", ":authority"), ("host", "Host")):
        matcher = {"name": header, "string_match": {"exact": "shop.test"}}
        asks = tuple(Ask("/", (("host", host),)) for host in HOSTS if host)
        yield Case(name, alone(abort=ABORT, headers=[matcher]), asks)
        matcher = {"name": header, "string_match": {"suffix": "shop.test"}, "invert_match": True}
        yield Case(f"{name}-inverted", alone(abort=ABORT, headers=[matcher]), asks)
    for name, matcher in (
        ("method", {"string_match": {"exact": "POST"}}),
        ("method-prefix", {"string_match": {"prefix": "P"}}),
        ("method-regex", {"string_match": {"safe_regex": {"regex": "GET|HEAD"}}}),
        ("method-inverted", {"string_match": {"exact": "GET"}, "invert_match": True}),
    ):
        asks = tuple(Ask("/x", method=method) for method in METHODS)
        yield Case(name, alone(abort=ABORT, headers=[{"name": ":method", **matcher}]), asks)
    yield Case("scheme", alone(abort=ABORT, headers=[{"name": ":scheme", "string_match": {"exact": "http"}}]), (Ask(),))


def conditions() -> Iterator[Case]:
    """Several conditions together, and callers' names."""
    both = [
        {"name": ":path", "string_match": {"prefix": "/api"}},
        {"name": ":path", "string_match": {"suffix": ".png"}, "invert_match": True},
        {"name": "x-h", "string_match": {"exact": "on"}},
    ]
    asks = [Ask(path, (("x-h", value),)) for path in ("/api", "/api/a.png", "/b") for value in ("on", "off")]
    yield Case("several", alone(abort=ABORT, headers=both), tuple(asks))
    named = (Ask(headers=(("x_h", "1"),), only_asgi=True), Ask(headers=(("x-h", "1"),)))
    yield Case("underscore", alone(abort=ABORT, headers=[{"name": "x_h"}]), named)
    spaced = [{"name": "x h", "string_match": {"exact": "a"}}]
    yield Case("impossible-name", alone(abort=ABORT, headers=spaced), (Ask(headers=(("x-h", "a"),)),))
    absent = [
        {"name": "x h", "string_match": {"exact": "a"}, "invert_match": True, "treat_missing_header_as_empty": True}
    ]
    yield Case("impossible-name-absent", alone(abort=ABORT, headers=absent), (Ask(),))
    node = "x-envoy-downstream-service-node"
    nodes = tuple(Ask(headers=((node, value),)) for value in ("a", "b", "A", "", "c"))
    yield Case("nodes", alone(abort=ABORT, downstream_nodes=["a", "b"]), (Ask(), *nodes))
    yield Case("node", alone(abort=ABORT, downstream_nodes=["a"]), (Ask(), *nodes))


def faults() -> Iterator[Case]:
    """Aborts, delays, limits, and how often."""
    plain = (Ask("/"), Ask("/x", method="HEAD"), Ask("/x", method="POST", body=b"a body"), Ask("/x", method="OPTIONS"))
    for status in (200, 204, 205, 304, 400, 404, 418, 429, 499, 500, 503, 599):
        yield Case(f"status-{status}", alone(abort={"http_status": status, "percentage": ALWAYS}), plain)
    yield Case("body", alone(abort={**ABORT, "response_body": '{"détail": "%"}'}), plain)
    yield Case("body-empty", alone(abort={**ABORT, "response_body": ""}), plain)
    yield Case("grpc-on-http", alone(abort={"grpc_status": 14, "percentage": ALWAYS}), plain)
    grpc = tuple(
        Ask("/pkg.Service/Call", (("content-type", kind), ("te", "trailers")), "POST")
        for kind in ("application/grpc", "application/grpc+proto", "application/json")
    )
    for status in (200, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504):
        yield Case(f"grpc-of-{status}", alone(abort={"http_status": status, "percentage": ALWAYS}), grpc)
    yield Case("grpc-status", alone(abort={"grpc_status": 5, "percentage": ALWAYS}), grpc)
    yield Case("grpc-zero", alone(abort={"grpc_status": 0, "percentage": ALWAYS}), grpc)
    yield Case("grpc-body", alone(abort={**ABORT, "response_body": "100 % très down"}), grpc)
    yield Case("grpc-body-edges", alone(abort={**ABORT, "response_body": "\n down\t"}), grpc)
    for name, share in (
        ("missing", None),
        ("empty", {}),
        ("zero", {"numerator": 0}),
        ("all-of-ten-thousand", {"numerator": 10_000, "denominator": "TEN_THOUSAND"}),
        ("all-of-a-million", {"numerator": 1_000_000, "denominator": 2}),
        ("more-than-all", {"numerator": 4_000_000_000}),
    ):
        config = {"http_status": 503} if share is None else {"http_status": 503, "percentage": share}
        yield Case(f"share-{name}", alone(abort=config), (Ask(),))
    delayed = (Ask("/", delay_seconds=0.03), Ask("/x", method="POST", body=b"x" * 100_000, delay_seconds=0.03))
    yield Case("delay", alone(delay={"fixed_delay": "0.03s", "percentage": ALWAYS}), delayed)
    yield Case("delay-cut", alone(delay={"fixed_delay": "0.0005s", "percentage": ALWAYS}), (Ask(),))
    yield Case("delay-seconds", alone(delay={"fixed_delay": {"nanos": 30_000_000}, "percentage": ALWAYS}), delayed)
    yield Case("delay-abort", alone(delay={"fixed_delay": "0.03s", "percentage": ALWAYS}, abort=ABORT), delayed[:1])
    limit = {"fixed_limit": {"limit_kbps": 100}, "percentage": ALWAYS}
    yield Case("limit", alone(response_rate_limit=limit), (Ask(), Ask("/x", method="POST", body=b"x" * 5000)))
    yield Case("limit-abort", alone(response_rate_limit=limit, abort=ABORT), (Ask(),))
    yield Case("nothing", alone(), plain)
    yield Case("none-at-once", alone(abort=ABORT, max_active_faults=0), (Ask(),))
    yield Case("some-at-once", alone(abort=ABORT, max_active_faults={"value": 3}), (Ask(), Ask()))
    spelled = {"httpStatus": "503", "percentage": {"numerator": 100.0, "denominator": "HUNDRED"}}
    yield Case("camel-case", alone(abort=spelled, headers=[]), (Ask(),))
    two = {
        "http_filters": [fault("one", delay={"fixed_delay": "0.02s", "percentage": ALWAYS}), fault("two", abort=ABORT)]
    }
    yield Case("two-filters", two, (Ask(delay_seconds=0.02),))
    first = {
        "http_filters": [fault("one", abort=ABORT), fault("two", abort={"http_status": 500, "percentage": ALWAYS})]
    }
    yield Case("two-aborts", first, (Ask(),))


def cases() -> list[Case]:
    """All of them."""
    from tests.interop.asked import asked
    from tests.interop.routes import routes

    found = [*header_matchers(), *pseudo_headers(), *conditions(), *faults(), *routes(), *asked()]
    assert len({case.name for case in found}) == len(found)
    return found
