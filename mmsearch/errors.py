"""What can go wrong, as a tree. Libraries raise these; only the command line translates them.

    MMSearchError                      exit code 1
    ├ ConfigError(ValueError)          2   a setting is wrong; all faults are listed at once
    ├ InputError(ValueError)           2   an argument or a file cannot be used
    │ ├ UnreadableMedia                    not an image, or a damaged one
    │ ├ MediaTooLarge                      over the pixel or byte bound
    │ ├ BadQuery                           nothing to search for, or parts that do not go together
    │ └ BadFilter                          a filter that the store cannot run
    ├ NotFound(LookupError)            3
    │ ├ StoreNotFound
    │ └ RecordNotFound
    ├ StoreError                       4
    │ ├ SpaceMismatch                      vectors of two models would meet
    │ ├ CorruptIndex
    │ └ StoreLocked                        another process is writing
    ├ MissingDependency(ImportError)   5   names the extra to install
    │ └ MissingModel                       names the files and where to put them
    ├ FailuresFound                    6   done, with failures, and `--strict` was given
    └ Interrupted                    130   ended by Ctrl-C; tells how to go on

Each message says what happened, what was got and what to do, in one or two lines.
"""


class MMSearchError(Exception):
    """The root: catch it to catch everything that mmsearch raises on purpose."""

    exit_code = 1


class ConfigError(MMSearchError, ValueError):
    exit_code = 2


class InputError(MMSearchError, ValueError):
    exit_code = 2


class UnreadableMedia(InputError):
    pass


class MediaTooLarge(InputError):
    pass


class BadQuery(InputError):
    pass


class BadFilter(InputError):
    pass


class NotFound(MMSearchError, LookupError):
    exit_code = 3


class StoreNotFound(NotFound):
    pass


class RecordNotFound(NotFound):
    pass


class StoreError(MMSearchError):
    exit_code = 4


class SpaceMismatch(StoreError):
    pass


class CorruptIndex(StoreError):
    pass


class StoreLocked(StoreError):
    pass


class MissingDependency(MMSearchError, ImportError):
    exit_code = 5


class MissingModel(MissingDependency):
    pass


class FailuresFound(MMSearchError):
    exit_code = 6


class Interrupted(MMSearchError):
    exit_code = 130
