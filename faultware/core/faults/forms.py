"""What the fields of a fault may hold, and how they are written down.

A fault is a dataclass whose fields are annotated with a `Form`: the key in documents and in the one-line form, and the
kind of the value. Checking, printing, reading and the JSON Schema all follow from that, so that a fault is described
once. Reading text is the business of `faultware.config`; this module checks values and writes them.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, cast, get_args, get_type_hints

from faultware.core.faults.kinds import (
    MAX_SIZE,
    MAX_TEXT_BODY,
    PERCENT,
    RATE,
    SECONDS,
    SIZE,
    SOME_BYTES,
    SOME_SECONDS,
    At,
    Bytes,
    Days,
    Events,
    Flag,
    Json,
    Key,
    Kind,
    Lines,
    Names,
    Percent,
    Place,
    Rate,
    Seconds,
    Share,
    Size,
    Text,
    TimeOfDay,
    Whole,
    Word,
)
from faultware.core.sampling import check_percentage

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "MAX_SIZE",
    "MAX_TEXT_BODY",
    "PERCENT",
    "RATE",
    "SECONDS",
    "SIZE",
    "SOME_BYTES",
    "SOME_SECONDS",
    "At",
    "Bytes",
    "Days",
    "Events",
    "FieldForm",
    "Flag",
    "Form",
    "Json",
    "Key",
    "Kind",
    "Lines",
    "Names",
    "Percent",
    "Place",
    "Rate",
    "Seconds",
    "Share",
    "Size",
    "Text",
    "TimeOfDay",
    "Whole",
    "Word",
    "forms_of",
    "settle",
    "settle_fields",
]


@dataclass(frozen=True, slots=True)
class Form:
    """How one field of a fault is written.

    Args:
        key: In documents; in one line it stands in front of the value, as `key=value`.
        kind: What the value may be.
        is_first: One line gives the value without its key, behind the fault's name; and a document may give the value
            in place of a mapping.
    """

    key: str
    kind: Kind
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class FieldForm:
    """A field of a fault: its name in Python, its form, and its default (`MISSING`: it must be given)."""

    name: str
    form: Form
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING


def forms_of(described: type[Any]) -> tuple[FieldForm, ...]:
    """The fields of a fault, in their order, without its percentage."""
    known = _known_forms.get(described)
    if known is None:
        known = _known_forms[described] = _read_forms(described)
    return known


_known_forms: Final[dict[type[Any], tuple[FieldForm, ...]]] = {}


def _read_forms(fault: Any) -> tuple[FieldForm, ...]:
    hints = get_type_hints(fault, include_extras=True)
    found: list[FieldForm] = []
    for field in fields(fault):
        form = next((item for item in get_args(hints[field.name])[1:] if isinstance(item, Form)), None)
        if form is not None:
            found.append(FieldForm(field.name, form, field.default))
    return tuple(found)


def settle_fields(described: DataclassInstance) -> None:
    """Check every field that has a form and put the checked value in its place; a default of None is left alone.

    Raises:
        RuleError: Naming the field by its key.
    """
    for field in forms_of(type(described)):
        value = getattr(described, field.name)
        if value is not None or field.default is not None:
            object.__setattr__(described, field.name, field.form.kind.check(value, field.form.key))


def settle(fault: DataclassInstance) -> None:
    """Check every field of a fault, as `settle_fields`, and its percentage."""
    settle_fields(fault)
    object.__setattr__(fault, "percentage", check_percentage(cast("Any", fault).percentage))
