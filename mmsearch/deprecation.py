"""Old names of the Python API go on working for one version, with a warning."""

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def warn_renamed(old: str, new: str) -> None:
    """Warns the caller of the function that calls this one: `old` is deprecated, use `new`."""
    warnings.warn(
        f"{old} is deprecated and will be removed in the next version; use {new}",
        DeprecationWarning,
        stacklevel=3,
    )


def moved_names(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module whose names have moved: old name to 'module.name'."""

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_renamed(f"{module}.{name}", homes[name])
        home, _, attribute = homes[name].rpartition(".")
        return getattr(import_module(home), attribute)

    return find


def renamed_module(old: str, new: str) -> Callable[[str], Any]:
    """Returns the `__getattr__` of the module `old`, all of which is in the module `new` now."""

    def find(name: str) -> Any:
        value = getattr(import_module(new), name)
        warnings.warn(f"{old}.{name} is now {new}.{name}", DeprecationWarning, stacklevel=2)
        return value

    return find


def renamed_attribute(old: str, new: str) -> Any:
    """Returns a property under the old name of an attribute, for a class body."""

    def read(self: object) -> Any:
        warnings.warn(
            f"{type(self).__name__}.{old} is now {type(self).__name__}.{new}",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(self, new)

    return property(read)
