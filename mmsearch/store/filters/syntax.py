"""The syntax of filters: text → sqlglot's tree of one condition, within bounds."""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from sqlglot import exp, parser, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from mmsearch.errors import BadFilter

# A list of a thousand keys has 50,000 characters.
MAX_CHARACTERS = 200_000
# The parser and LanceDB recurse into brackets; Python allows about a thousand calls.
MAX_DEPTH = 50

_OPERATORS = {
    TokenType.AND, TokenType.OR, TokenType.NOT, TokenType.IN, TokenType.IS, TokenType.LIKE,
    TokenType.ILIKE, TokenType.BETWEEN, TokenType.NULL, TokenType.TRUE, TokenType.FALSE,
    TokenType.ESCAPE,
}  # fmt: skip
_OPENING, _CLOSING = (
    {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE},
    {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE},
)
_PREFIXES = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE}


class _FilterDialect(Dialect):
    """SQL without statements, and without functions that have a syntax of their own."""

    class Tokenizer(tokens.Tokenizer):
        IDENTIFIERS = ['"', "`"]  # noqa: RUF012 (as sqlglot declares it)
        COMMANDS: ClassVar[set[TokenType]] = set()

    class Parser(parser.Parser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: parse
            for name, parse in parser.Parser.FUNCTION_PARSERS.items()
            if name in ("CAST", "TRY_CAST", "EXTRACT", "TRIM")
        }


def parse(where: str, columns: Collection[str]) -> exp.Expr:
    """Parses a filter. columns: names that are columns even where SQL has a keyword of that name.

    Raises BadFilter with the reason alone.
    """
    found = _tokens(where, columns)
    _require_brackets(found)
    try:
        trees = _FilterDialect().parser().parse_into(exp.Condition, found, where)
    except ParseError as error:
        raise BadFilter(_syntax_fault(error, found, columns)) from error
    except RecursionError as error:
        raise BadFilter("it is nested too deeply") from error
    if len(trees) != 1:
        raise BadFilter("bad syntax at ';'")
    if trees[0] is None:
        raise BadFilter("it is incomplete")
    return trees[0]


def conditions(where: str, columns: Collection[str]) -> list[str]:
    """Returns the conditions that AND joins at the top level of a valid filter, as typed."""
    parts, depth, start, in_between = [], 0, 0, False
    for token in _tokens(where, columns):
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        if depth == 0 and token.token_type is TokenType.OR:
            return [where.strip()]
        if depth == 0 and token.token_type is TokenType.BETWEEN:
            in_between = True
        elif depth == 0 and token.token_type is TokenType.AND:
            if not in_between:
                parts.append(where[start : token.start].strip())
                start = token.end + 1
            in_between = False
    return [*parts, where[start:].strip()]


def _tokens(where: str, columns: Collection[str]) -> list[Token]:
    if len(where) > MAX_CHARACTERS:
        raise BadFilter(f"it has {len(where):,} characters; at most {MAX_CHARACTERS:,} are read")
    try:
        found = _FilterDialect().tokenize(where)
    except TokenError as error:
        raise BadFilter(
            "a quote or comment is not closed; one inside a text is doubled: 'it''s'"
        ) from error
    known = {name.lower() for name in columns}
    for token, following in zip(found, [*found[1:], None], strict=False):
        if _is_plain(token) and (sign := next((c for c in token.text if c in "$€£¥"), None)):
            raise BadFilter(f"write the number without {sign}")
        # 'order < 3' is about the column, "date '2025-01-01'" and 'left(name, 1)' are not.
        literal = following is not None and following.token_type in (
            TokenType.STRING,
            TokenType.L_PAREN,
        )
        if (
            _is_plain(token)
            and token.text.lower() in known
            and not literal
            and token.token_type not in _OPERATORS
        ):
            token.token_type = TokenType.VAR
    return found


def _is_plain(token: Token) -> bool:
    return token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER, TokenType.NUMBER)


def _require_brackets(found: Sequence[Token]) -> None:
    depth = prefixes = 0
    for token in found:
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        prefixes = prefixes + 1 if token.token_type in _PREFIXES else 0
        if depth < 0:
            break
        if max(depth, prefixes) > MAX_DEPTH:
            raise BadFilter("it is nested too deeply")
    if depth:
        raise BadFilter("it has an unmatched bracket")


def _syntax_fault(error: ParseError, found: Sequence[Token], columns: Collection[str]) -> str:
    details = error.errors[0]
    if comma := _decimal_comma(found):
        return f"a decimal number has a point, as in {comma.replace(',', '.')}"
    at = str(details["highlight"])
    if "Required keyword" in str(details["description"]) and found and at == found[-1].text:
        return "it is incomplete"
    if at in ("&&", "~", "!~", "&", "|", "^"):
        return f"unknown operator {at}; use AND, OR, NOT, LIKE, IN or a comparison"
    if name := heading_in(found, columns):
        return f"the column is called {name}"
    return f"bad syntax at {at!r}"


def _decimal_comma(found: Sequence[Token]) -> str | None:
    """Returns the first number with a decimal comma: outside of brackets there are no lists."""
    depth = 0
    for one, comma, other in zip(found, found[1:], found[2:], strict=False):
        depth += (one.token_type in _OPENING) - (one.token_type in _CLOSING)
        numbers = one.token_type is other.token_type is TokenType.NUMBER
        if depth == 0 and numbers and comma.token_type is TokenType.COMMA:
            return f"{one.text},{other.text}"
    return None


def heading_in(found: Sequence[Token], columns: Collection[str]) -> str | None:
    """Returns the column whose words follow each other in the filter, as in 'Unit Price < 5'."""
    words = [token.text.lower() for token in found if token.token_type is not TokenType.STRING]
    for name in columns:
        wanted = name.lower().split("_")
        width = len(wanted)
        if width > 1 and any(
            [word for word in words[i : i + 2 * width] if word not in "-/."][:width] == wanted
            for i in range(len(words))
        ):
            return name
    return None


def heading_of(where: str, columns: Collection[str]) -> str | None:
    """Returns the column whose name the filter writes in several words."""
    return heading_in(_tokens(where, columns), columns)
