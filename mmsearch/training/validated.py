"""Frozen dataclasses whose fields pydantic validates: constraints are part of the annotations.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Options(Validated):
        steps: Annotated[int, Field(gt=0)] = 100

Values are coerced as pydantic does, so that text from a command line may be passed as it is.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, get_type_hints

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from mmsearch.errors import ConfigError

# A share or probability.
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Weight: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
PositiveInt: TypeAlias = Annotated[int, Field(gt=0)]
PositiveFloat: TypeAlias = Annotated[float, Field(gt=0)]


def _one_placeholder(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError("must contain one {} for the text")
    return template


# A prompt with one placeholder, such as 'a photo of {}'.
Template: TypeAlias = Annotated[str, AfterValidator(_one_placeholder)]
Templates: TypeAlias = Annotated[tuple[Template, ...], Field(min_length=1)]


class Validated:
    """Base of frozen dataclasses that are validated on construction.

    Raises ConfigError with one message that lists every invalid field.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        faults = []
        for name, adapter in _adapters(type(self)).items():
            try:
                object.__setattr__(self, name, adapter.validate_python(getattr(self, name)))
            except ValidationError as error:
                faults.append(_message(name, error.errors()[0]))
        if faults := [*faults, *self._conflicts()]:
            raise ConfigError("; ".join(faults))

    def _conflicts(self) -> list[str]:
        """Returns what is wrong with fields in combination; they may each be invalid, too."""
        return []


_ADAPTERS: dict[type, dict[str, TypeAdapter[Any]]] = {}


def _adapters(options: type) -> dict[str, TypeAdapter[Any]]:
    """Returns the validators of a class's fields, which are built once."""
    if options not in _ADAPTERS:
        hints = get_type_hints(options, include_extras=True)
        _ADAPTERS[options] = {name: TypeAdapter(hint) for name, hint in hints.items()}
    return _ADAPTERS[options]


def _message(name: str, fault: Mapping[str, Any]) -> str:
    context, kind = fault.get("ctx", {}), fault["type"]
    rules = {
        "greater_than": "must be greater than {gt:g}",
        "greater_than_equal": "must be at least {ge:g}",
        "less_than": "must be less than {lt:g}",
        "less_than_equal": "must be at most {le:g}",
        "too_short": "must have at least {min_length} value",
        "literal_error": "must be {expected}",
        "value_error": "{error}",
    }
    rule = rules[kind].format(**context) if kind in rules else fault["msg"]
    return f"{name}: {rule}, got {fault['input']!r}"
