"""Evidence of a pair, and why an original was chosen, for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmsearch.dedup.originals.frame import AlignedCandidate

# In the order of output; evidence below this weight did not decide.
_LEAST = 0.5
_MOST_SAID = 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence that one of two files is nearer to the source.

    kind: what was measured, see `_phrase`.
    weight: positive if it favours the first file; roughly log odds, so that weights add up.
    amount: measured value, for the text of the reason.
    """

    kind: str
    weight: float
    amount: float = 0.0


def reason_for(
    best: int,
    evidence: Mapping[tuple[int, int], list[Evidence]],
    candidates: Sequence[AlignedCandidate],
) -> str:
    """Why the best candidate was chosen over the others; the strongest evidence first."""
    total: dict[str, float] = {}
    against: dict[str, tuple[Evidence, int]] = {}
    for (one, two), found in evidence.items():
        if best not in (one, two):
            continue
        side, other = (1.0, two) if one == best else (-1.0, one)
        for each in found:
            weight = side * each.weight
            total[each.kind] = total.get(each.kind, 0.0) + weight
            if weight >= _LEAST and weight > abs(
                against.get(each.kind, (Evidence("", 0), 0))[0].weight
            ):
                against[each.kind] = (Evidence(each.kind, weight, each.amount), other)
    kinds = sorted((kind for kind in against if total[kind] > 0), key=lambda kind: -total[kind])
    phrases = dict.fromkeys(
        _phrase(against[kind][0], candidates[best], candidates[against[kind][1]]) for kind in kinds
    )
    return ", ".join([*phrases][:_MOST_SAID])


def _phrase(evidence: Evidence, best: AlignedCandidate, other: AlignedCandidate) -> str:
    match evidence.kind:
        case "shows more":
            return "whole picture (others are cropped)"
        case "frame":
            return "no frame or bar around it"
        case "mark":
            return "no caption, logo or sticker on it"
        case "colour":
            return "full colour"
        case "source":
            return "others were saved from it"
        case "detail":
            return f"{evidence.amount:.1f} times the detail"
        case "corners":
            return "not tilted"
        case "format":
            return _compression(best, other)
        case "proportions":
            return "not stretched"
        case "enlarged":
            return "not enlarged"
        case "sharper":
            return "sharper"
        case "unaltered":
            return "without added noise or sharpening"
        case "smaller":
            return "same pixels in fewer bytes"
        case "palette":
            return "not reduced to a palette"
        case "compression":
            return _compression(best, other)
        case "camera":
            return "has camera EXIF"
        case "EXIF":
            return "has EXIF"
        case "profile":
            return "has a colour profile"
        case "agreement":
            return f"{evidence.amount:.0f} files show it so"
        case "older":
            return "older file"
        case _:
            return "the others' names say copy"


def _compression(best: AlignedCandidate, other: AlignedCandidate) -> str:
    mine, theirs = best.file.quality, other.file.quality
    if mine is not None and theirs is not None:
        return f"less compressed (quality {mine:.0f} against {theirs:.0f})"
    return f"less compressed ({best.file.format} against {other.file.format})"
