"""JSON documents as frozen dataclasses, validated by pydantic."""

from typing import Any, Literal, TypeVar

Parsed = TypeVar("Parsed")

_ADAPTERS: dict[Any, Any] = {}


def parse_json(
    kind: type[Parsed], text: str | bytes, *, extra: Literal["forbid", "ignore"] = "forbid"
) -> Parsed:
    """Parses a document as a dataclass or another type.

    extra: whether fields that the type does not have are errors. Raises ValueError, with one line
    that names the first wrong field.
    """
    # Imported late, since it takes a tenth of a second.
    from pydantic import TypeAdapter, ValidationError

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    try:
        parsed: Parsed = _ADAPTERS[kind].validate_json(text, strict=True, extra=extra)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"{place}: {fault['msg']}" if place else fault["msg"]) from error
    return parsed
