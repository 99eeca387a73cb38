"""Model cards: front matter by huggingface_hub's ModelCardData, Markdown by a Jinja template."""

from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from mmsearch.text import one_line


def render_card(data: ModelCardData, package: str, template: str, **context: Any) -> str:
    """Returns the card as Markdown.

    package: the one whose folder `templates` holds `template`. context: the template's variables;
    its filters are `one_line` and `cell`, which escapes a cell of a table.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=False,  # noqa: S701 - Markdown, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "one_line": one_line,
        "cell": lambda text: str(text).replace("|", "\\|"),
    }
    body = environment.get_template(template).render(**context)
    return f"---\n{data.to_yaml()}\n---\n{body}"
