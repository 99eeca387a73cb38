"""What all pages share: templates that escape, a content security policy, files replaced whole."""

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmsearch.errors import InputError
from mmsearch.report.titles import visible


def page_environment() -> Environment:
    return Environment(
        loader=PackageLoader("mmsearch.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def template_file(name: str) -> str:
    return (resources.files("mmsearch.report") / "templates" / name).read_text("utf-8")


def csp_hash(content: str) -> str:
    """What the content security policy must name for the browser to take this content."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def write_page(page: str, path: Path, *, what: str) -> None:
    """Whole or not at all. what: for the message of the InputError, as 'gallery'."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(page.encode("utf-8"))
        part.replace(path)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise InputError(
            f"cannot write the {what} to {visible(str(path))}: {fault.strerror};"
            " name a file in a folder that exists and may be written"
        ) from fault
