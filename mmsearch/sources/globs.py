"""Include and exclude patterns, and the hidden and system files that are always skipped."""

from typing import TYPE_CHECKING

from mmsearch.errors import InputError
from mmsearch.sources.options import SourceOptions

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SYSTEM_NAMES = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "@eadir",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "__macosx",
    }
)


def is_hidden(name: str) -> bool:
    """Whether a file is hidden ('.git', '.mmsearch', '.DS_Store', '._*') or a system file."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


class Globs:
    """Gitignore-style patterns, matched case-insensitively."""

    def __init__(self, options: SourceOptions) -> None:
        self._include = _compile(options.include, "include")
        self._exclude = _compile(options.exclude, "exclude")

    def excludes(self, relative: str) -> bool:
        """Whether a POSIX path is excluded; that of a folder ends with '/'."""
        return self._exclude is not None and self._exclude.match_file(relative.lower())

    def includes(self, relative: str) -> bool:
        """Whether a POSIX path is included."""
        return self._include is None or self._include.match_file(relative.lower())


def _compile(patterns: tuple[str, ...], parameter: str) -> "GitIgnoreSpec | None":
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(pattern.lower() for pattern in patterns)
    except ValueError as error:
        raise InputError(
            f"`{parameter}`: {error}; write it as in a .gitignore, '**/drafts/*'"
        ) from error
