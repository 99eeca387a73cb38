"""What the documents promise: help as it is, options and settings that exist, live links."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from mmsearch.cli.parameters import SETTINGS
from mmsearch.config import Settings
from mmsearch.finetuning import options as finetuning_options

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))


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
        for link in re.findall(r"\]\((?!https?:)([^)]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 40
    assert not [(page.name, link) for page, link in links if not _leads_somewhere(page, link)]


def test_long_pages_list_their_contents() -> None:
    pages = {page: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}
    # The page of commands is written by a script, with links to every command.
    long = {page for page, text in pages.items() if text.count("\n") > 150} - {ROOT / "docs/cli.md"}
    assert len(long) >= 4
    for page in long:
        sections = re.findall(r"^## (.+)$", re.sub(r"```.*?```", "", pages[page], flags=re.S), re.M)
        anchors = [re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in sections]
        assert [name for name in anchors if f"](#{name})" not in pages[page]] == [], page.name


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each).strip().lower().replace(" ", "-") for each in headings}


def test_the_architecture_lists_every_package() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    for parent in ("", "dedup"):
        folder = ROOT / "mmsearch" / parent
        packages = {path.parent.name for path in folder.glob("*/__init__.py")}
        assert len(packages) > 5
        assert packages <= listed


def test_decisions_have_one_form_and_are_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert len(DECISIONS) >= 10
    for page in DECISIONS:
        text = page.read_text(encoding="utf-8")
        head = re.match(r"# (.+)\n\nDate: (\d{4}-\d\d-\d\d)\. Status: (accepted|superseded)", text)
        assert head is not None, page.name
        title, date, _ = head.groups()
        assert f"| [{page.name[:4]}]({page.name}) | {title} | {date} |" in index
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Alternatives", "Consequences"]


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", each) for each in versions[1:])
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


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
    assert SETTINGS
    assert set(SETTINGS) <= set(finetuning_options.SETTINGS)


def _texts(file: Path) -> list[str]:
    """The string literals of a module, docstrings among them."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
