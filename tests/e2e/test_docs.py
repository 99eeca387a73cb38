"""What the documents promise: help as it is, options and settings that exist, live links."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from mmsearch.config import Settings
from mmsearch.finetuning.options import SETTINGS

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def test_the_commands_page_is_what_help_says() -> None:
    done = subprocess.run(
        [sys.executable, "tools/write_cli_docs.py", "--check"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_option_in_readme_and_guide_exists() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs" / "cli.md").read_text()))
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "guide.md").read_text()
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert len(used) > 10
    assert used <= known


def test_every_setting_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text()
    for name in Settings.model_fields:
        assert f"`{name}`" in guide


def test_links_lead_somewhere() -> None:
    links = [
        (page, link)
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 20
    assert not [(page.name, link) for page, link in links if not (page.parent / link).exists()]


def test_every_option_that_a_message_names_exists() -> None:
    known = set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs" / "cli.md").read_text()))
    # An option of pip's.
    known.add("--force-reinstall")
    found = [
        (file.name, flag)
        for folder in ("mmsearch", "indexes", "cli")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for text in _texts(file)
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)
    ]
    assert len(found) > 50
    assert not [(name, flag) for name, flag in found if flag not in known]


def test_every_setting_that_a_message_names_exists() -> None:
    named = [
        name
        for file in sorted((ROOT / "mmsearch" / "finetuning").rglob("*.py"))
        for text in _texts(file)
        for name in re.findall(r"with (\w+)=N", text)
    ]
    assert named
    assert set(named) <= set(SETTINGS)


def _texts(file: Path) -> list[str]:
    """The string literals of a module, docstrings among them."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
