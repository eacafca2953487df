"""Configurations with routes: the most specific one replaces the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.interop.asking import Ask
from tests.interop.families import ABORT, ALWAYS, Case, Document, fault, override

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = {"http_status": 418, "percentage": ALWAYS}
THIRD = {"http_status": 404, "percentage": ALWAYS}
FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"


def route(match: Document, config: Document | None = None, **more: Any) -> Document:
    return {"match": match, **({} if config is None else {"typed_per_filter_config": config}), **more}


def host(*routes: Document, domains: tuple[str, ...] = ("*",), config: Document | None = None) -> Document:
    given = {} if config is None else {"typed_per_filter_config": config}
    return {"name": "-".join(domains), "domains": list(domains), "routes": list(routes), **given}


def table(*hosts: Document, chain: Document | None = None, **more: Any) -> Document:
    return {"http_filters": [chain or fault()], "route_config": {"name": "r", "virtual_hosts": list(hosts), **more}}


PATHS = tuple(map(Ask, ("/", "/a", "/a/b", "/ab", "/a?q=1", "/A", "/b", "/b?a=1", "/b?a=2&a=1", "/%61", "/c/d")))
ANY = {"prefix": "/"}


def routes() -> Iterator[Case]:
    """Overrides of every level, and every kind of route."""
    everywhere = fault(abort=ABORT)
    yield Case(
        "route-override",
        table(host(route({"prefix": "/a"}, override(abort=OTHER)), route(ANY)), chain=everywhere),
        PATHS,
    )
    yield Case("route-off", table(host(route({"prefix": "/a"}, override()), route(ANY)), chain=everywhere), PATHS)
    disabled = {"envoy.filters.http.fault": {"@type": FILTER_CONFIG, "disabled": True}}
    yield Case("route-disabled", table(host(route({"path": "/a"}, disabled), route(ANY)), chain=everywhere), PATHS)
    yield Case("route-on", table(host(route({"path": "/a"}, override(abort=OTHER)), route(ANY))), PATHS)
    conditional = override(abort=OTHER, headers=[{"name": "x-h", "string_match": {"exact": "on"}}])
    asks = (*PATHS, *(Ask(path, (("x-h", "on"),)) for path in ("/a", "/b")))
    yield Case("no-falling-back", table(host(route({"prefix": "/a"}, conditional), route(ANY)), chain=everywhere), asks)
    yield Case(
        "host-override",
        table(
            host(route({"path": "/a"}, override(abort=THIRD)), route({"prefix": "/b"}), config=override(abort=OTHER)),
            chain=everywhere,
        ),
        PATHS,
    )
    yield Case(
        "table-override",
        table(host(route({"prefix": "/a"})), chain=everywhere, typed_per_filter_config=override()),
        PATHS,
    )
    hosts = tuple(
        Ask("/a", (("host", name),))
        for name in ("one.test", "ONE.test", "one.test:80", "x.one.test", "one.example", "y.x.one.test", "else")
    )
    yield Case(
        "domains",
        table(
            host(route(ANY, override(abort=THIRD))),
            host(route(ANY, override(abort=OTHER)), domains=("one.test",)),
            host(route(ANY, override()), domains=("*.one.test",)),
            host(route({"prefix": "/z"}), domains=("*.x.one.test",), config=override(abort=OTHER)),
            host(route(ANY), domains=("one.*",)),
            chain=everywhere,
        ),
        hosts,
    )
    ported = tuple(
        Ask("/", (("host", name),))
        for name in ("one.test", "one.test:80", "one.test:80:90", "one.test:x", "x.one.test:80", "one.:80", "one.x:80")
    )
    yield Case(
        "domains-without-port",
        table(
            host(route(ANY, override(abort=THIRD))),
            host(route(ANY, override(abort=OTHER)), domains=("one.test:80",)),
            host(route(ANY, override()), domains=("*:80",)),
            host(
                route(ANY, override(abort={"http_status": 410, "percentage": ALWAYS})), domains=("one.test", "*.test")
            ),
            host(route(ANY), domains=("one.*",)),
            chain=everywhere,
            ignore_port_in_host_matching=True,
        ),
        ported,
    )
    named = tuple(Ask("/", (("host", "one.test"), *lines)) for lines in ((), (("x-h", "ONE.test"),), (("x-h", "a"),)))
    yield Case(
        "domains-of-a-header",
        table(
            host(route(ANY, override(abort=THIRD)), domains=("one.test",)),
            host(route(ANY, override(abort=OTHER))),
            chain=everywhere,
            vhost_header="x-h",
        ),
        named,
    )
    only = table(host(route(ANY, override(abort=OTHER))), chain=everywhere, vhost_header="x-h")
    yield Case("domains-of-a-header-alone", only, named)
    kinds: dict[str, Document] = {
        "path": {"path": "/a"},
        "path-nocase": {"path": "/A", "case_sensitive": False},
        "prefix-nocase": {"prefix": "/A", "case_sensitive": False},
        "separated": {"path_separated_prefix": "/a"},
        "regex": {"safe_regex": {"regex": "/[ab]"}},
        "query": {"prefix": "/", "query_parameters": [{"name": "a", "string_match": {"exact": "1"}}]},
        "query-present": {"prefix": "/", "query_parameters": [{"name": "q", "present_match": True}]},
        "headers": {"prefix": "/", "headers": [{"name": ":path", "string_match": {"suffix": "1"}}]},
        "grpc": {"prefix": "/", "grpc": {}},
    }
    for name, match in kinds.items():
        yield Case(f"match-{name}", table(host(route(match, override(abort=OTHER)), route(ANY))), PATHS)
    clusters = [
        {"name": "app", "weight": 1, "typed_per_filter_config": override(abort=OTHER)},
        {"name": "app", "weight": 0},
    ]
    weighted = route({"prefix": "/a"}, None, route={"weighted_clusters": {"clusters": clusters}})
    yield Case("weighted", table(host(weighted, route(ANY))), PATHS)
    named = {
        "http_filters": [fault("mine", abort=ABORT)],
        "route_config": table(host(route(ANY, override())))["route_config"],
    }
    yield Case("another-name", named, PATHS[:2])
    off = {**fault(abort=ABORT), "disabled": True}
    yield Case(
        "filter-disabled", table(host(route({"path": "/a"}, override(abort=OTHER)), route(ANY)), chain=off), PATHS
    )
    redirect = route({"prefix": "/a"}, None, redirect={"path_redirect": "/b"})
    yield Case("redirect", table(host(redirect, route(ANY)), chain=everywhere), PATHS[:4])
