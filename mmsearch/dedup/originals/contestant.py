"""A member of a group as it enters duels, and what a duel finds."""

from dataclasses import dataclass

from mmsearch.dedup.originals.evidence import Candidate, FileEvidence
from mmsearch.dedup.originals.frame import Layer
from mmsearch.dedup.originals.registration_facts import Homography


@dataclass(frozen=True, slots=True)
class Sign:
    """weight: above 0 if it speaks for the first of two files. name: which kind of sign.

    amount: what the sign measured, for the text of the reason.
    """

    name: str
    weight: float
    amount: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A member with all that duels need. matrix: from the common frame to its coordinates."""

    candidate: Candidate
    matrix: Homography
    layer: Layer

    @property
    def file(self) -> FileEvidence:
        return self.candidate.file
