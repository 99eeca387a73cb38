"""Shared by all pages: escaping templates, a content security policy, atomic writes."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmsearch.errors import InputError
from mmsearch.files import write_atomically
from mmsearch.text import visible


def render_page(template: str, styles: Sequence[str], script: str = "", **values: object) -> str:
    """Renders a page whose security policy allows its own style and script, and nothing else.

    template, styles, script: names without suffixes. values: the template's variables, escaped.
    """
    folder = resources.files("mmsearch.report") / "templates"
    inline = {"style": "".join((folder / f"{name}.css").read_text("utf-8") for name in styles)}
    if script:
        inline["script"] = (folder / f"{script}.js").read_text("utf-8")
    environment = Environment(
        loader=PackageLoader("mmsearch.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    for name, content in inline.items():
        digest = base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
        values[name] = Markup(content)  # noqa: S704 - our own file, not data
        values[f"{name}_hash"] = f"'sha256-{digest}'"
    return environment.get_template(f"{template}.html.jinja").render(values)


def write_page(page: str, path: Path, *, what: str) -> None:
    """Writes a page atomically. Raises InputError.

    what: name of the page in the message, such as 'gallery'.
    """
    try:
        write_atomically(path, page)
    except OSError as fault:
        raise InputError(
            f"cannot write the {what} to {visible(str(path))}: {fault.strerror};"
            " name a file in a folder that exists and may be written"
        ) from fault
