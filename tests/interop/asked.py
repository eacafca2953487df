"""Configurations whose faults a request asks for by its headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.asking import Ask
from tests.interop.families import ABORT, ALWAYS, Case, alone

if TYPE_CHECKING:
    from collections.abc import Iterator

HTTP = "x-envoy-fault-abort-request"
GRPC = "x-envoy-fault-abort-grpc-request"
DELAY = "x-envoy-fault-delay-request"
LIMIT = "x-envoy-fault-throughput-response"
SHARE = "-percentage"
STATUSES = (
    *("429", " 429 ", "+429", "0429", "200", "599", "503", "204", "304"),
    *("", "-1", "199", "600", "429abc", "429.0", "0x1ad", "4_29", "1e2", "429,500", "4 29", str(2**64 + 429)),
)
CODES = (
    "0",
    "5",
    "16",
    "17",
    "99",
    "4294967296",
    "4294967301",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "x",
    "",
)
SHARES = ("100", "0", "+0", "00", "", "-1", "x", "101", "4294967295", "4294967296", "0.0")
BY_HEADER = {"header_abort": {}, "percentage": ALWAYS}


def asked() -> Iterator[Case]:
    """Every kind, with values that are numbers and values that are none."""
    aborts = [Ask(headers=((HTTP, value),)) for value in STATUSES]
    aborts += [Ask(headers=((GRPC, value),)) for value in CODES]
    aborts += [Ask("/x", ((GRPC, value), ("content-type", "application/grpc")), "POST") for value in CODES]
    aborts += [Ask(headers=((HTTP, "503"), (HTTP + SHARE, value))) for value in SHARES]
    aborts += [Ask(headers=((GRPC, "5"), (HTTP + SHARE, value))) for value in SHARES]
    aborts += [
        Ask(),
        Ask(headers=((HTTP + SHARE, "100"),)),
        Ask(headers=((HTTP, "503"), (GRPC, "5"))),
        Ask(headers=((HTTP, "x"), (GRPC, "5"))),
        Ask(headers=((HTTP.upper(), "503"),)),
        Ask(headers=((HTTP, "503"), (HTTP, "404")), only_asgi=True),
        Ask(headers=((HTTP, "x"), (HTTP, "404")), only_asgi=True),
        Ask(headers=((HTTP, "503"), (DELAY, "30"), (LIMIT, "10"))),
    ]
    yield Case("asked-abort", alone(abort=BY_HEADER), tuple(aborts))
    body = {**BY_HEADER, "response_body": "asked for"}
    yield Case("asked-abort-body", alone(abort=body), (*aborts[:3], aborts[25]))
    for name, share in (("zero", {"numerator": 0}), ("missing", None), ("million", {"numerator": 0, "denominator": 2})):
        config = {"header_abort": {}} if share is None else {"header_abort": {}, "percentage": share}
        raised = Ask(headers=((HTTP, "503"), (HTTP + SHARE, "100")))
        yield Case(f"asked-abort-{name}", alone(abort=config), (aborts[0], raised))
    many = {"header_abort": {}, "percentage": {"numerator": 2_000_000, "denominator": "MILLION"}}
    yield Case("asked-abort-more-than-all", alone(abort=many), (aborts[0],))
    fixed = (Ask(headers=((HTTP, "429"),)), Ask(headers=((HTTP + SHARE, "0"),)))
    yield Case("fixed-is-not-asked", alone(abort=ABORT), fixed)
    delays = [Ask(headers=((DELAY, value),), delay_seconds=0.03) for value in ("30", "+30", "030")]
    delays += [Ask(headers=((DELAY, value),)) for value in ("0", "60ms", "-30", "", "1e1", "30.0")]
    delays += [Ask(headers=((DELAY, "5000"), (DELAY + SHARE, "0")))]
    delay = {"header_delay": {}, "percentage": ALWAYS}
    yield Case("asked-delay", alone(delay=delay), tuple(delays))
    limits = tuple(Ask(headers=((LIMIT, value),)) for value in ("100", "+100", "0", "-1", "x", ""))
    yield Case("asked-limit", alone(response_rate_limit={"header_limit": {}, "percentage": ALWAYS}), limits)
    all_of_them = alone(abort=BY_HEADER, delay=delay, response_rate_limit={"header_limit": {}, "percentage": ALWAYS})
    both = Ask(headers=((HTTP, "503"), (DELAY, "30")), delay_seconds=0.03)
    yield Case(
        "asked-everything", all_of_them, (both, Ask(headers=((DELAY, "30"), (LIMIT, "100")), delay_seconds=0.03))
    )
    conditional = alone(abort=BY_HEADER, headers=[{"name": "x-h", "string_match": {"exact": "on"}}])
    yield Case("asked-on-a-condition", conditional, (Ask(headers=((HTTP, "503"), ("x-h", "on"))), aborts[0]))
