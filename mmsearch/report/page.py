"""Shared by all pages: escaping templates, a content security policy, atomic writes."""

import base64
import hashlib
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmsearch.errors import InputError
from mmsearch.files import write_atomically
from mmsearch.text import visible


def page_environment() -> Environment:
    """Returns the Jinja environment of the templates, with escaping."""
    return Environment(
        loader=PackageLoader("mmsearch.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def template_file(name: str) -> str:
    """Reads a style sheet or script of the templates."""
    return (resources.files("mmsearch.report") / "templates" / name).read_text("utf-8")


def csp_hash(content: str) -> str:
    """Returns the hash by which the content security policy allows this inline content."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


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
