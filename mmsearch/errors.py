"""What can go wrong, as a tree. Libraries raise these; only the command line translates them.

    MMSearchError                      exit code 1
    ├ ConfigError(ValueError)          2   a setting is wrong; all faults are listed at once
    ├ InputError(ValueError)           2   an argument or a file cannot be used
    │ ├ UnreadableMedia                    not an image, or a damaged one
    │ ├ MediaTooLarge                      over the pixel or byte bound
    │ ├ SourceUnavailable                  a known source cannot be read at the moment
    │ ├ BadQuery                           nothing to search for, or parts that exclude each other
    │ └ BadFilter                          a filter that the store cannot run
    ├ NotFound(LookupError)            3
    │ ├ StoreNotFound
    │ └ RecordNotFound(KeyError)
    ├ StoreError                       4
    │ ├ SpaceMismatch                      vectors of two models would meet
    │ ├ CorruptIndex
    │ └ StoreLocked                        another process is writing
    ├ MissingDependency(ImportError)   5   names the extra to install
    │ └ MissingModel                       names the files and where to put them
    ├ FailuresFound                    6   done, with failures, in a strict run
    └ Interrupted                    130   ended by Ctrl-C; names what to run to resume

Each message says what happened, what was got and what to do, in one or two lines. It names
parameters of the Python API in backticks, as `image` or `device='cpu'`.
"""

import re

_PARAMETER = re.compile(r"`(\w+)(?:=[^`]*)?`")


class MMSearchError(Exception):
    """The base of all errors that mmsearch raises on purpose.

    >>> try:
    ...     catalog.search(threshold=0.5)
    ... except mmsearch.MMSearchError as error:
    ...     print(error, error.parameters)
    nothing to search for; give a text, `image`, `like` or `keyword` ('image', 'like', 'keyword')
    """

    exit_code = 1

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that the message names, in its order."""
        return tuple(dict.fromkeys(_PARAMETER.findall(str(self))))


class ConfigError(MMSearchError, ValueError):
    """One or more settings are invalid; the message lists all of them."""

    exit_code = 2


class InputError(MMSearchError, ValueError):
    """An argument, a file or a source cannot be used."""

    exit_code = 2


class UnreadableMedia(InputError):
    """A file is not an image or text that can be read, or is damaged."""


class MediaTooLarge(InputError):
    """A file exceeds a bound on pixels or bytes."""


class SourceUnavailable(InputError):
    """A source of the store is gone, empty or unreadable; its items are left as they are."""


class BadQuery(InputError):
    """A query has nothing to search for, or parts that exclude each other."""


class BadFilter(InputError):
    """A filter is not valid SQL over the store's columns."""


class NotFound(MMSearchError, LookupError):
    """Something that was named does not exist."""

    exit_code = 3


class StoreNotFound(NotFound):
    """There is no store in the folder."""


class RecordNotFound(NotFound, KeyError):
    """There is no item, source or group of this name in the store."""

    # A KeyError shows its message quoted.
    __str__ = Exception.__str__


class StoreError(MMSearchError):
    """A store or its index cannot be used as it is."""

    exit_code = 4


class SpaceMismatch(StoreError):
    """Vectors of two models would be compared."""


class CorruptIndex(StoreError):
    """A file of the store is damaged or missing."""


class StoreLocked(StoreError):
    """Another process is writing to the store."""


class MissingDependency(MMSearchError, ImportError):
    """An optional package is not installed; the message names the command."""

    exit_code = 5


class MissingModel(MissingDependency):
    """A model is neither here nor could it be downloaded."""


class FailuresFound(MMSearchError):
    """The run is complete, but items failed and the run was strict."""

    exit_code = 6


class Interrupted(MMSearchError):
    """Ctrl-C ended the run; the message says how to resume."""

    exit_code = 130
