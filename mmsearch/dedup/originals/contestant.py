"""A member of a group in duels, and the evidence that a duel finds."""

from dataclasses import dataclass

from mmsearch.dedup.originals.evidence import Candidate, FileEvidence
from mmsearch.dedup.originals.frame import Layer
from mmsearch.dedup.originals.registration_facts import Homography


@dataclass(frozen=True, slots=True)
class Sign:
    """Evidence that one of two files is nearer to the source.

    weight: positive if it favours the first file.
    name: kind of evidence.
    amount: measured value, for the text of the reason.
    """

    name: str
    weight: float
    amount: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A member with all that duels need.

    matrix: from the common frame to its coordinates.
    """

    candidate: Candidate
    matrix: Homography
    layer: Layer

    @property
    def file(self) -> FileEvidence:
        """Evidence of the file itself."""
        return self.candidate.file
