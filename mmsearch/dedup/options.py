"""Options of deduplication."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mmsearch.dedup.keep_rules import DEFAULT_RULES
from mmsearch.dedup.results import DEFAULT_TIERS, TIERS, Tier
from mmsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class DedupOptions:
    """Options of deduplication.

    tiers: the tiers to search.
    where: SQL filter.
    across: names of two sources; groups contain items of both.
    references: folders whose items are never removed.
    within_folder: only pairs within one folder.
    keep: rules in order, see `keep_rules.KeepRules`.
    edited, similar: thresholds of these tiers, None: calibrated or fixed.
    fpr: false positive rate to calibrate for, None: as stored.
    versions: whether a plan includes edited versions.
    suspicions: whether to list less likely texts on the wrong image.
    """

    tiers: tuple[Tier, ...] = DEFAULT_TIERS
    where: str | None = None
    across: tuple[str, str] | None = None
    references: tuple[Path, ...] = ()
    within_folder: bool = False
    keep: str = DEFAULT_RULES
    edited: float | None = None
    similar: float | None = None
    fpr: float | None = None
    versions: bool = False
    suspicions: bool = False

    @property
    def perceptual(self) -> bool:
        """Whether images have to be decoded."""
        return bool({"pixels", "edited"} & set(self.tiers))

    @property
    def checks_texts(self) -> bool:
        """Whether to search for texts on the wrong image, which needs both modalities."""
        return "similar" in self.tiers or {"edited", "text-near"} <= set(self.tiers)

    @property
    def narrowed(self) -> bool:
        """Whether only part of the store is searched."""
        return self.where is not None or self.across is not None


def parse_tiers(text: str | None) -> tuple[Tier, ...]:
    """Parses 'bytes,edited'; None means all but 'similar'.

    Raises InputError for an unknown name, naming the known ones.
    """
    names = DEFAULT_TIERS if text is None else [name.strip() for name in text.split(",")]
    unknown = set(names) - set(TIERS)
    if unknown:
        near = get_close_matches(min(unknown), TIERS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(TIERS)}"
        raise InputError(f"no tier '{min(unknown)}'; {hint}")
    return tuple(tier for tier in TIERS if tier in names)
