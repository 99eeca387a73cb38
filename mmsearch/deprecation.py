"""Old names of the Python API go on working for one version, with a warning."""

import warnings


def warn_renamed(old: str, new: str) -> None:
    """Warns the caller of the function that calls this one: `old` is deprecated, use `new`."""
    warnings.warn(
        f"{old} is deprecated and will be removed in the next version; use {new}",
        DeprecationWarning,
        stacklevel=3,
    )
