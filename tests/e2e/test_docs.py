"""What the documents promise: help as it is, options and settings that exist, live links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmsearch.config import Settings

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), f"{page.name}: {link}"
