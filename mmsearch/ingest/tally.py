"""The counts and failures of a run of `index`, and the report that they become."""

from collections import Counter
from dataclasses import dataclass, field

from mmsearch.ingest.known import FileState
from mmsearch.records import Failure, IngestReport


@dataclass(slots=True)
class Tally:
    """The counts and failures of a run so far."""

    changes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    states: dict[str, FileState] = field(default_factory=dict)
    truncated: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    read: int = 0
    multi_frame: int = 0
    missing: int = 0
    pruned: int = 0
    encode_seconds: float = 0.0

    def report(self, resumed: int, seconds: float) -> IngestReport:
        """Returns the report of a run of so many seconds. resumed: as in `IngestReport`."""
        done = sum(self.changes.values())
        return IngestReport(
            added=self.changes["added"],
            updated=self.changes["updated"],
            moved=self.changes["moved"],
            restored=self.changes["restored"],
            unchanged=self.changes["unchanged"],
            missing=self.missing,
            pruned=self.pruned,
            resumed=resumed,
            truncated_texts=self.truncated,
            failures=tuple(self.failures[key] for key in sorted(self.failures)),
            seconds=seconds,
            rates={
                "total": done / seconds if seconds else 0.0,
                "encode": (
                    (done - self.changes["unchanged"]) / self.encode_seconds
                    if self.encode_seconds
                    else 0.0
                ),
            },
            decoded=self.read,
            multi_frame=self.multi_frame,
            image_parts=self.parts["image"],
            passages=self.parts["passage"],
        )
