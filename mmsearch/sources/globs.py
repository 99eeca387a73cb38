"""Patterns of paths to include and exclude; hidden and system files are always excluded."""

from pathspec import GitIgnoreSpec

from mmsearch.errors import InputError
from mmsearch.sources.options import SourceOptions

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
    """Dot files (so also '.git', '.mmsearch', '.DS_Store', '._*') and what systems leave behind."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


class Globs:
    """Gitignore-style patterns, compared without regard to case."""

    def __init__(self, options: SourceOptions) -> None:
        self._include = _compile(options.include, "include")
        self._exclude = _compile(options.exclude, "exclude")

    def excludes(self, relative: str) -> bool:
        """relative: POSIX path, with '/' at the end for a folder."""
        return self._exclude is not None and self._exclude.match_file(relative.lower())

    def includes(self, relative: str) -> bool:
        return self._include is None or self._include.match_file(relative.lower())


def _compile(patterns: tuple[str, ...], parameter: str) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    try:
        return GitIgnoreSpec.from_lines(pattern.lower() for pattern in patterns)
    except ValueError as error:
        raise InputError(
            f"`{parameter}`: {error}; write it as in a .gitignore, '**/drafts/*'"
        ) from error
