"""Messages of the library name parameters of the Python API; here they become options.

A message has them in backticks: `name`, `name='value'`, or a call such as
`catalog.index(rebuild=True)`.
"""

import ast
import re

_CODE = re.compile(r"`([^`]+)`")
# Parameters that are called otherwise on the command line.
_OPTIONS = {
    "columns": "--column",
    "FinetuneOptions.text_columns": "--texts",
    "k": "-k",
    "path": "--store",
    "references": "--reference",
    "shares": "--split",
    "text": "TEXT",
    "vector_columns": "--vector-column",
    "vectors_file": "--vectors",
    "vectors_of": "--vector-of",
}
# Fields of FinetuneOptions that have no option of their own.
SETTINGS = ("allow_straddling", "views")
_COMMANDS = {
    "apply": "dedup apply",
    "drop_source": "index --drop",
    "evaluate": "evaluate",
    "failures": "info --failures",
    "find_duplicates": "dedup",
    "finetune": "finetune",
    "ignore_duplicates": "dedup ignore",
    "ignored_duplicates": "dedup ignore --list",
    "index": "index",
    "load_model": "models --check",
    "plan": "dedup --plan FILE",
    "promote": "models --promote",
    "rollback": "models --rollback",
    "undo": "dedup undo",
    "undo_prune": "index --undo-prune",
}


def with_options(message: str) -> str:
    """Returns a message of the library in terms of the command line.

    >>> with_options("no column `group`; use `image_column='photo'`")
    'no column --group; use --image-column photo'
    >>> with_options("run `catalog.index(rebuild=True)`")
    "run 'mmsearch index --rebuild'"
    """
    return _CODE.sub(lambda found: _translated(found[1]) or found[0], message)


def _translated(code: str) -> str | None:
    """None for what is no parameter and no call of the API."""
    try:
        # The name of a function makes `name=value` an expression too.
        call = ast.parse(f"f({code})", mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(call, ast.Call) or len(call.args) + len(call.keywords) != 1:
        return None
    if call.keywords:
        return _option(call.keywords[0])
    inner = call.args[0]
    if isinstance(inner, ast.Call):
        return _command(inner)
    return _flag(ast.unparse(inner)) if isinstance(inner, ast.Name | ast.Attribute) else None


def _command(call: ast.Call) -> str | None:
    name = ast.unparse(call.func).rpartition(".")[2]
    if name not in _COMMANDS:
        return None
    # `plan(report)` stands for a run of the command that makes the report as well.
    given = [] if name == "plan" else [_text(value) for value in call.args]
    return f"'{' '.join(['mmsearch', _COMMANDS[name], *given, *map(_option, call.keywords)])}'"


def _option(given: ast.keyword) -> str:
    name, value = str(given.arg), _text(given.value)
    if name in SETTINGS:
        return f"--set {name}={value.lower() if value == 'True' else value}"
    return _flag(name) if value == "True" else f"{_flag(name)} {value}"


def _flag(name: str) -> str:
    return _OPTIONS.get(name, f"--{name.replace('_', '-')}")


def _text(value: ast.expr) -> str:
    if isinstance(value, ast.List) and len(value.elts) == 1:
        value = value.elts[0]
    return str(value.value) if isinstance(value, ast.Constant) else ast.unparse(value)
