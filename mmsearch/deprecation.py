"""Old names that go on working for one version, with a DeprecationWarning."""

import warnings
from typing import Any


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
