"""Describes for people why an original was chosen."""

from collections.abc import Mapping, Sequence

from mmsearch.dedup.originals.contestant import Contestant, Sign

# In the order of output; evidence below this weight did not decide.
_LEAST = 0.5
_MOST_SAID = 4


def reason_for(
    best: int, signs: Mapping[tuple[int, int], list[Sign]], contestants: Sequence[Contestant]
) -> str:
    """Why the best contestant was chosen, from its duels; the strongest evidence first."""
    total: dict[str, float] = {}
    against: dict[str, tuple[Sign, int]] = {}
    for (one, two), found in signs.items():
        if best not in (one, two):
            continue
        side, other = (1.0, two) if one == best else (-1.0, one)
        for sign in found:
            weight = side * sign.weight
            total[sign.name] = total.get(sign.name, 0.0) + weight
            if weight >= _LEAST and weight > abs(
                against.get(sign.name, (Sign("", 0), 0))[0].weight
            ):
                against[sign.name] = (Sign(sign.name, weight, sign.amount), other)
    names = sorted((name for name in against if total[name] > 0), key=lambda name: -total[name])
    phrases = dict.fromkeys(
        _phrase(against[name][0], contestants[best], contestants[against[name][1]])
        for name in names
    )
    return ", ".join([*phrases][:_MOST_SAID])


def _phrase(sign: Sign, best: Contestant, other: Contestant) -> str:
    match sign.name:
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
            return f"{sign.amount:.1f} times the detail"
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
        case "majority":
            return f"{sign.amount:.0f} files show it so"
        case "older":
            return "older file"
        case _:
            return "the others' names say copy"


def _compression(best: Contestant, other: Contestant) -> str:
    mine, theirs = best.file.quality, other.file.quality
    if mine is not None and theirs is not None:
        return f"less compressed (quality {mine:.0f} against {theirs:.0f})"
    return f"less compressed ({best.file.format} against {other.file.format})"
