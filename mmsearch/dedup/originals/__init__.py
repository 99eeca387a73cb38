"""Chooses the original of a group: evidence in files and pixels, weighed pair by pair.

`read_candidate` reads a file, `choose` decides between candidates whose pairs were registered.
"""

from mmsearch.dedup.originals.choose import Choice, choose
from mmsearch.dedup.originals.evidence import (
    Candidate,
    FileEvidence,
    candidate_of,
    read_candidate,
    read_evidence,
)
from mmsearch.dedup.originals.registration_facts import RegistrationFacts

__all__ = [
    "Candidate",
    "Choice",
    "FileEvidence",
    "RegistrationFacts",
    "candidate_of",
    "choose",
    "read_candidate",
    "read_evidence",
]
