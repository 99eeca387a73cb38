"""Packages that are optional: named, with the command that installs them, where one is missing."""

from importlib.util import find_spec
from pathlib import Path

from mmsearch.errors import MissingDependency


def require(package: str, *, purpose: str, extra: str | None = None) -> None:
    """Raises MissingDependency unless `package` is installed. It is not imported.

    purpose: subject of the message, what needs the package. extra: the extra of mmsearch that
    installs it; None if pip installs it by its own name.
    """
    if find_spec(package) is None:
        wanted = f"'mmsearch[{extra}]'" if extra else package
        raise MissingDependency(
            f"{purpose} needs the package {package}, which is not installed; "
            f"run: pip install {wanted}"
        )


def package_folder(package: str, *, distribution: str | None = None) -> Path:
    """Returns the folder of an installed package without importing it.

    distribution: its name for pip, where it differs. Raises MissingDependency.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency(
            f"the package {package} is not installed; run: pip install {distribution or package}"
        )
    return Path(next(iter(spec.submodule_search_locations)))
