"""Rules by the thousand, as somebody with many services might write them; none is about the paths that are asked."""

from __future__ import annotations

from functools import cache

from faultware import Abort, Delay, Match, Rule


@cache
def many(count: int) -> tuple[Rule, ...]:
    """So many rules about other paths: prefixes, templates, globs, and some that ask for more than a path."""
    return tuple(_rule(number) for number in range(count))


def header_only() -> tuple[Rule, ...]:
    """Rules that may match on every path, for requests with a header that the benchmark's requests do not have."""
    return (
        Rule("canaries", Match(headers={"x-canary": "1"}), percentage=10, abort=Abort(503)),
        Rule("testers", Match(headers={"x-tester": "yes"}), percentage=10, delay=Delay(0.2)),
    )


def _rule(number: int) -> Rule:
    match number % 4:
        case 0:
            match, fault = Match(f"/service-{number}"), {"abort": Abort(503)}
        case 1:
            match, fault = Match(f"/users-{number}/{{id}}/cart"), {"delay": Delay(0.2)}
        case 2:
            match, fault = Match(f"/files-{number}/**", methods=["GET"]), {"abort": Abort(504)}
        case _:
            match, fault = Match(f"/search-{number}", headers={"x-canary": "1"}), {"delay": Delay(0.1)}
    return Rule(f"rule-{number}", match, percentage=10, **fault)
