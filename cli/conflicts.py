"""Which options of a command contradict each other, and which need another one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmsearch.errors import InputError

Rules = Mapping[str, Mapping[str, tuple[str, ...]]]

# By command and option: what may not be given beside it. Arguments have their name in the help.
EXCLUDED: Rules = {
    "search": {
        "--queries": (
            *("TEXT", "--csv", "--paths", "--gallery", "--columns", "--thumbnails", "--after"),
        ),
        "--json": ("--csv", "--paths", "--columns", "--thumbnails"),
        "--csv": ("--paths", "--thumbnails"),
        "--paths": ("--columns", "--thumbnails"),
        "--gallery": ("--columns", "--thumbnails"),
        "--hybrid": ("--keyword",),
    },
    "index": {
        "--drop": ("SOURCE", "--undo-prune", "--prune", "--dry-run", "--json"),
        "--undo-prune": ("SOURCE", "--prune", "--dry-run", "--json"),
        "--here": ("--store",),
        "--vectors": ("--vector-column",),
    },
    "info": {"--failures": ("--index", "--plot")},
    "models": {"--check": ("--promote", "--rollback"), "--promote": ("--rollback",)},
}
# By command and option: of these, one must be given beside it.
NEEDED: Rules = {
    "search": {
        "--null": ("--paths",),
        "--open": ("--gallery",),
        "--fuse": ("--hybrid", "--keyword", "--queries"),
        "--keyword-weight": ("--fuse", "--queries"),
        "--image-weight": ("--image", "--queries"),
    },
    "index": {"--arch": ("--model",), "--vector-of": ("--vector-column", "--vectors")},
    "models": {
        "--arch": ("--check", "--promote"),
        "--force": ("--promote",),
        "--dry-run": ("--promote", "--rollback"),
    },
    "evaluate": {"--class-names": ("--classes",), "--template": ("--classes",)},
    "finetune": {"--force": ("--promote",)},
}


# By command: options of which the last would hold without a word.
ONCE: Mapping[str, tuple[str, ...]] = {
    "search": ("--image", "--like", "--where", "--without", "--keyword", "--queries"),
}


def refuse_conflicts(command: str, given: set[str], words: Sequence[str]) -> None:
    """Raises InputError if options contradict each other, lack one, or are repeated in vain.

    given: their names. words: of the command line.
    """
    for option in ONCE.get(command, ()):
        if sum(word.partition("=")[0] == option for word in words) > 1:
            raise InputError(f"{option} was given more than once, but one is used; give it once")
    for option, others in EXCLUDED.get(command, {}).items():
        for other in others:
            if {option, other} <= given:
                raise InputError(f"{option} and {other} exclude each other; leave one of them out")
    for option, others in NEEDED.get(command, {}).items():
        if option in given and not given.intersection(others):
            raise InputError(f"{option} has an effect only with {' or '.join(others)}; add it")


def given_names(command: Any, context: Any) -> Iterator[str]:
    """Yields every name of the options on the command line, and of the arguments."""
    for parameter in command.params:
        source = context.get_parameter_source(parameter.name)
        if source is None or source.name != "COMMANDLINE":
            continue
        if context.params.get(parameter.name) not in (None, False, (), []):
            is_argument = parameter.param_type_name == "argument"
            yield from [parameter.metavar] if is_argument else parameter.opts
