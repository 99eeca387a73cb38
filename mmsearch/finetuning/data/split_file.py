"""The split on disk: JSON that names each item's split by its key, replaced in one step."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmsearch.errors import InputError
from mmsearch.files import write_atomically
from mmsearch.finetuning.data.training_set import SPLIT_NAMES, SplitName
from mmsearch.records import printable_path

FORMAT_VERSION = 1
FILE_NAME = "split.json"
# The name until version 0.1, for a file that never was JSON lines.
OLD_FILE_NAME = "split.jsonl"


def saved_split_file(path: Path) -> Path | None:
    """Returns the file that holds the split to reuse: `path`, or one beside it of the old name."""
    old = path.with_name(OLD_FILE_NAME)
    return next((each for each in (path, old) if each.exists()), None)


def read_split_file(path: Path) -> dict[str, SplitName]:
    """Raises InputError for a file that is none of these."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"its format is {content['format_version']}, not {FORMAT_VERSION}")
        splits: dict[str, SplitName] = dict(content["items"])
        unknown = set(splits.values()) - set(SPLIT_NAMES)
        if unknown:
            raise ValueError(f"it names the split {min(map(repr, unknown))}")
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise InputError(
            f"{printable_path(path)} is no saved split ({fault}); remove it to split anew"
        ) from fault
    return splits


def write_split_file(
    path: Path, splits: Mapping[str, SplitName], *, shares: Sequence[float], seed: int
) -> None:
    """Raises OSError."""
    content = {
        "format_version": FORMAT_VERSION,
        "shares": list(shares),
        "seed": seed,
        "items": dict(sorted(splits.items())),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, ensure_ascii=False, indent=0) + "\n")
