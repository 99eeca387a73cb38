"""Columns of lists through the command line: indexed, filtered, shown, indexed again."""

import json
from pathlib import Path

from tests.support.command_line import Call

ITEMS = """id,title,Tags
1,golden apple,sweet; red
2,green pear,green; sweet
3,white milk,fresh
4,plain water,=cmd; fresh
"""


def test_lists_are_filtered_and_shown(tmp_path: Path, call: Call) -> None:
    (tmp_path / "items.csv").write_text(ITEMS)
    indexed = call(tmp_path, "index", "items.csv")
    assert indexed.returncode == 0, indexed.stderr
    assert "lists: tags; in filters has(tags, 'value')" in indexed.stderr

    sweet = call(tmp_path, "search", "apple", "--where", "has(tags, 'Sweet')", "--json")
    hits = json.loads(sweet.stdout)["hits"]
    assert {hit["key"]: hit["record"]["tags"] for hit in hits} == {
        "items/1": ["sweet", "red"],
        "items/2": ["green", "sweet"],
    }

    table = call(tmp_path, "search", "apple", "--csv")
    assert "green; sweet" in table.stdout
    # A list that begins with a sign of a formula is quoted as a text would be.
    assert "'=cmd; fresh" in table.stdout

    refused = call(tmp_path, "search", "apple", "--where", "tags = 'sweet'")
    assert refused.returncode == 2
    assert "write has(tags, 'sweet')" in refused.stderr

    again = call(tmp_path, "index", "--json")
    assert json.loads(again.stdout)["report"]["unchanged"] == 4
