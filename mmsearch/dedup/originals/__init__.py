"""Chooses the original of a group: evidence in files and pixels, weighed pair by pair.

`read_candidate` reads a file, `choose` decides between candidates whose pairs were registered.
"""

from mmsearch.dedup.originals.candidate import Candidate, FileEvidence, read_candidate
from mmsearch.dedup.originals.choose import Choice, choose
from mmsearch.dedup.originals.registration import Registration

__all__ = ["Candidate", "Choice", "FileEvidence", "Registration", "choose", "read_candidate"]
