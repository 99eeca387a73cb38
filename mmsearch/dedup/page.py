"""HTML report of duplicates: groups and findings as data, rendered in the browser.

The first images are embedded; further ones are loaded from their files when they scroll into view,
which works on the machine that holds them.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mmsearch.dedup.items import Item
from mmsearch.dedup.results import Box, DedupReport, Finding, Group, Member
from mmsearch.dedup.summary import Files, summarised
from mmsearch.records import real_path
from mmsearch.report.images import inline_images
from mmsearch.report.page import render_page, write_page
from mmsearch.report.titles import one_line, visible

_EMBEDDED = 1_200
_EDGE = 200
_TEXT_CHARACTERS = 300


def write_dedup_page(report: DedupReport, path: Path, *, store: Path | None = None) -> None:
    """Writes the page to `path` atomically. Raises InputError if it cannot.

    store: passed to the commands on the page; None if they find it by themselves.
    """
    write_page(render_dedup_page(report, store=store), path, what="report of duplicates")


def render_dedup_page(report: DedupReport, *, store: Path | None = None) -> str:
    """Renders the page; its size grows by some 300 bytes per item."""
    summary = summarised(report.groups)
    return render_page(
        "dedup",
        styles=["dedup"],
        script="dedup",
        items=report.items,
        certain=_files(summary.certain),
        uncertain=_files(summary.uncertain),
        groups=len(report.groups),
        findings=len(report.findings),
        thresholds=report.thresholds,
        unread=len(report.unread),
        data=Markup(_as_script(_data(report, store))),  # noqa: S704 - escaped for a script element
    )


def _as_script(data: dict[str, Any]) -> str:
    """Serialises JSON so that no string can end the script element."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _files(files: Files) -> str:
    """'87 files (238.0 MB)'; '' for none."""
    noun = "file" if files.count == 1 else "files"
    return f"{files.count:,} {noun} ({files.bytes / 1e6:,.1f} MB)" if files.count else ""


def _data(report: DedupReport, store: Path | None) -> dict[str, Any]:
    shown = [uri for finding in report.findings for uri in finding.uris[:4] if uri]
    # Groups that names alone do not explain come first.
    shown = shown[: _EMBEDDED // 4]
    shown += [item.uri for group in report.groups for item in group.items if item.uri]
    embedded = _pictures([*dict.fromkeys(shown)][:_EMBEDDED])
    return {
        "groups": [_group(group) for group in report.groups],
        "findings": [_finding(finding) for finding in report.findings],
        "pictures": embedded,
        "store": visible(str(store.absolute())) if store else "",
    }


def _pictures(uris: Sequence[str]) -> dict[str, str]:
    """Data URIs by printable path, without files that cannot be opened."""
    pictures = inline_images([real_path(uri) for uri in uris], edge=_EDGE)
    found = zip(uris, pictures, strict=True)
    return {visible(uri): picture.source for uri, picture in found if picture is not None}


def _group(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "family": group.family,
        "tier": group.tier,
        "reason": one_line(group.reason),
        "items": [_item(group.kept), *_members(group.others)],
    }


def _members(members: Sequence[Member]) -> Iterator[dict[str, Any]]:
    for member in members:
        yield {
            **_item(member.item),
            "tier": member.tier,
            "relation": member.relation,
            "changes": [_box(box) for box in member.changes],
            "score": round(min(member.score, 1.0), 3),
            "evidence": one_line(member.evidence),
            "via": one_line(member.via),
        }


def _box(box: Box) -> list[float]:
    return [round(side, 4) for side in (box.left, box.top, box.right, box.bottom)]


def _item(item: Item) -> dict[str, Any]:
    text = one_line(item.text)
    return {
        "key": one_line(item.key),
        # A key with control characters could break out of a shell command, so there is none.
        "named": one_line(item.key) == item.key,
        "path": visible(item.uri),
        "file": _address(item.uri),
        "width": item.width,
        "height": item.height,
        "size": item.size,
        "text": text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "…",
        "protected": item.protected,
    }


def _address(uri: str) -> str:
    """A file: URL, or '' if this machine has no such file."""
    path = real_path(uri)
    return path.as_uri() if uri and path.is_absolute() else ""


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "keys": [one_line(key) for key in finding.keys],
        "paths": [visible(uri) for uri in finding.uris],
        "files": [_address(uri) for uri in finding.uris],
        "detail": one_line(finding.detail),
    }
