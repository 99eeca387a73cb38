"""What the user says about a table's format and columns, instead of what would be guessed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mmsearch.errors import InputError
from mmsearch.sources.values import Kind

_KINDS = {
    "number": Kind.FLOAT,
    "text": Kind.TEXT,
    "date": Kind.DATE,
    "day-first": Kind.DAY_FIRST,
    "month-first": Kind.MONTH_FIRST,
    "bool": Kind.BOOL,
    # Texts until they are split.
    "list": Kind.TEXT,
    "skip": Kind.NESTED,
}
_COMMAS = {",": Kind.DECIMAL_COMMA, ".": Kind.GROUPED}
_HEADER = {"yes": True, "no": False}
_DELIMITERS = {"tab": "\t", "\\t": "\t", "semicolon": ";", "comma": ",", "pipe": "|"}


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a table is read; what is None is found by looking at it.

    kinds: by column. comma: what a comma in numbers is, DECIMAL_COMMA or GROUPED. header: whether
    the first row names the columns. delimiter, encoding: of a CSV file.
    """

    kinds: tuple[tuple[str, Kind], ...] = ()
    comma: Kind | None = None
    header: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None

    def kind(self, column: str) -> Kind | None:
        """Returns the kind that the user gave a column."""
        return dict(self.kinds).get(column)

    def require_columns(self, columns: Iterable[str]) -> None:
        """Raises InputError for kinds of columns that the table does not have."""
        present = list(columns)
        for name, _ in self.kinds:
            if name not in present:
                shown = ", ".join(f"'{column}'" for column in present[:50])
                raise InputError(f"`columns`: there is no column '{name}'; there are {shown}")


def parse_format(columns: Iterable[str], table: Iterable[str]) -> TableFormat:
    """Parses the options 'NAME=KIND' of columns and 'SETTING=VALUE' of a table.

    Raises InputError.

    >>> parse_format(["price=number"], ["header=no", "delimiter=semicolon"]).delimiter
    ';'
    """
    kinds = []
    for option in columns:
        name, separator, kind = option.rpartition("=")
        if not separator or kind.strip() not in _KINDS:
            raise InputError(
                f"`columns` takes NAME=KIND with one of the kinds {', '.join(_KINDS)}; got "
                f"'{option}'"
            )
        kinds.append((name.strip(), _KINDS[kind.strip()]))
    found = TableFormat(tuple(kinds))
    for option in table:
        name, _, value = option.partition("=")
        found = _with_setting(found, name.strip(), value if value.isspace() else value.strip())
    return found


def _with_setting(found: TableFormat, name: str, value: str) -> TableFormat:
    if name == "decimal" and value in _COMMAS:
        return replace(found, comma=_COMMAS[value])
    if name == "header" and value in _HEADER:
        return replace(found, header=_HEADER[value])
    if name == "delimiter" and len(_DELIMITERS.get(value, value)) == 1:
        return replace(found, delimiter=_DELIMITERS.get(value, value))
    if name == "encoding" and value:
        try:
            "".encode(value)
        except LookupError as error:
            raise InputError(f"`table`: there is no encoding '{value}'") from error
        return replace(found, encoding=value)
    raise InputError(
        "`table` takes decimal=, or decimal=. · header=yes or header=no · delimiter=CHARACTER or "
        f"delimiter=tab · encoding=NAME; got '{name}={value}'"
    )
