"""What `mmsearch dedup` is asked for."""

from dataclasses import dataclass
from pathlib import Path

from mmsearch.dedup.keep_rules import DEFAULT_RULES
from mmsearch.dedup.results import DEFAULT_TIERS, TIERS, Tier
from mmsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class DedupOptions:
    """tiers: which to look for. where: SQL. across: names of two sources, groups span both.

    references: folders whose items always stay. within_folder: pairs of one folder only.
    keep: rules in order, see `keep.KeepRules`. edited, similar: thresholds of these tiers, None:
    calibrated or fixed. fpr: the rate of false positives to calibrate for, None: as stored.
    versions: whether a plan also names edited versions.
    suspicions: whether to list texts that are possibly on the wrong picture as well.
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
        """Whether pictures have to be opened."""
        return bool({"pixels", "edited"} & set(self.tiers))

    @property
    def checks_texts(self) -> bool:
        """Whether texts on the wrong picture are looked for: where pictures and texts both are."""
        return "similar" in self.tiers or {"edited", "text-near"} <= set(self.tiers)

    @property
    def narrowed(self) -> bool:
        """Whether only some of the store's rows are looked at."""
        return self.where is not None or self.across is not None


def parse_tiers(text: str | None) -> tuple[Tier, ...]:
    """'bytes,edited' → the tiers; None → all but 'similar'.

    Raises InputError for an unknown name, naming the known ones.
    """
    names = DEFAULT_TIERS if text is None else [name.strip() for name in text.split(",")]
    unknown = set(names) - set(TIERS)
    if unknown:
        raise InputError(f"no tier '{min(unknown)}'; there are {', '.join(TIERS)}")
    return tuple(tier for tier in TIERS if tier in names)
