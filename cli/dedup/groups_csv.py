"""Formats a report of duplicates as CSV: a line per item, the kept one of each group first."""

import csv
import io
from typing import TYPE_CHECKING

from mmsearch.records import printable_path

if TYPE_CHECKING:
    from mmsearch.dedup.results import Box, DedupReport

COLUMNS = (
    *("group", "family", "role", "tier", "score", "key", "uri", "evidence", "via"),
    *("relation", "changes", "reason"),
)


def groups_csv(report: "DedupReport") -> str:
    """Returns a row per item, the kept ones included.

    The column `changes` holds boxes as 'left top right bottom', separated by semicolons.
    """
    rows: list[dict[str, str | float]] = []
    for group in report.groups:
        shared = {"group": group.id, "family": group.family}
        kept = {"role": "kept", "key": group.kept.key, "uri": group.kept.uri}
        rows.append({**shared, **kept, "reason": group.reason})
        rows += [
            {
                **shared,
                "role": "duplicate",
                "tier": member.tier,
                "score": min(member.score, 1.0),
                "key": member.item.key,
                "uri": member.item.uri,
                "evidence": member.evidence,
                "via": member.via,
                "relation": member.relation,
                "changes": "; ".join(map(box_text, member.changes)),
            }
            for member in group.others
        ]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return lines.getvalue()


def box_text(box: "Box") -> str:
    """Returns 'left top right bottom', in fractions of the image."""
    return f"{box.left:.3f} {box.top:.3f} {box.right:.3f} {box.bottom:.3f}"


def _cell(value: str | float) -> str:
    text = printable_path(str(value))
    # What a spreadsheet would run as a formula (OWASP, CSV injection).
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
