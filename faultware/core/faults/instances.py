"""Faults of the process that serves, as Chaos Monkey has them. Each needs `allow_instance_faults` besides.

They name the process they act on, never outlive the kill switch, and give back what they took.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from faultware.core.faults.forms import PERCENT, SOME_SECONDS, Form, Size, Whole, Word, settle
from faultware.core.faults.phases import Needs, Phase
from faultware.errors import RuleError


@dataclass(frozen=True, slots=True)
class Kill:
    """Ends the worker process.

    Args:
        by: `term`: SIGTERM, the server stops as it does for a deployment. `kill`: SIGKILL, at once and without a word.
            `exit`: `os._exit(0)`. Exit codes 3 and 4 stop whole servers and are never used.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "kill"
    phase: ClassVar = Phase.INSTANCE
    needs: ClassVar = Needs.PROCESS
    by: Annotated[Literal["term", "kill", "exit"], Form("by", Word(("term", "kill", "exit")), is_first=True)] = "term"
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Cpu:
    """Burns a share of one processor for a time, in a thread of its own.

    Args:
        share: 0 to 100 percent of one processor.
        duration_seconds: How long; at most the `max_delay` setting.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "cpu"
    phase: ClassVar = Phase.INSTANCE
    needs: ClassVar = Needs.PROCESS
    share: Annotated[float, Form("share", PERCENT, is_first=True)]
    duration_seconds: Annotated[float, Form("duration", SOME_SECONDS)] = 10.0
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
        if not self.share:
            raise RuleError("0% of a processor is nothing", where="share", hint="more than 0%")


@dataclass(frozen=True, slots=True)
class Memory:
    """Holds memory for a time, and gives it back.

    Args:
        size_bytes: How much, at most 16 GiB.
        duration_seconds: How long; at most the `max_delay` setting.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "memory"
    phase: ClassVar = Phase.INSTANCE
    needs: ClassVar = Needs.PROCESS
    size_bytes: Annotated[int, Form("size", Size(1, 2**34), is_first=True)]
    duration_seconds: Annotated[float, Form("duration", SOME_SECONDS)] = 10.0
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Block:
    """Stalls the event loop (ASGI) or the worker thread (WSGI), as a blocking call in the wrong place does.

    Args:
        duration_seconds: How long; at most the `max_delay` setting.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "block"
    phase: ClassVar = Phase.INSTANCE
    needs: ClassVar = Needs.PROCESS
    duration_seconds: Annotated[float, Form("duration", SOME_SECONDS, is_first=True)]
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Opens files until few descriptors are left, holds them for a time, and closes them.

    Args:
        left: So many are left free, at least 10.
        duration_seconds: How long; at most the `max_delay` setting.
        percentage: Rolled after the rule's own percentage.
    """

    kind: ClassVar = "descriptors"
    phase: ClassVar = Phase.INSTANCE
    needs: ClassVar = Needs.PROCESS
    left: Annotated[int, Form("left", Whole(10, 10**6, what="number of descriptors"), is_first=True)] = 10
    duration_seconds: Annotated[float, Form("duration", SOME_SECONDS)] = 10.0
    percentage: float = 100

    def __post_init__(self) -> None:
        settle(self)
