"""JSON documents as frozen dataclasses, validated by pydantic."""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Parsed = TypeVar("Parsed")


def parse_json(
    kind: type[Parsed], text: str | bytes, *, extra: Literal["forbid", "ignore"] = "forbid"
) -> Parsed:
    """Parses a document as a dataclass or another type.

    extra: whether fields that the type does not have are errors. Raises ValueError, with one line
    that names the first wrong field.
    """
    from pydantic import ValidationError

    try:
        parsed: Parsed = _adapter(kind).validate_json(text, strict=True, extra=extra)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"{place}: {fault['msg']}" if place else fault["msg"]) from error
    return parsed


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    # Imported late, since it takes a tenth of a second.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
