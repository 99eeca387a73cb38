"""Summary of a report: counts of groups and files, reclaimable bytes, certain and uncertain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmsearch.dedup.results import SAME_PICTURE, Group, Member, Relation


@dataclass(frozen=True, slots=True)
class Files:
    """Number and total size of files."""

    count: int = 0
    bytes: int = 0

    def plus(self, size: int) -> "Files":
        """Adds a file."""
        return Files(self.count + 1, self.bytes + size)


@dataclass(frozen=True, slots=True)
class Summary:
    """Files that removing duplicates would free, each counted once.

    groups: number by family.
    certain: files whose content the kept one also has, confirmed by comparison.
    uncertain: files for a person to review.
    relations: all files by relation.
    """

    groups: Mapping[str, int]
    certain: Files
    uncertain: Files
    relations: Mapping[Relation, Files]

    @property
    def files(self) -> Files:
        """All files."""
        return Files(
            self.certain.count + self.uncertain.count, self.certain.bytes + self.uncertain.bytes
        )


def summarised(groups: Sequence[Group]) -> Summary:
    """Summarises groups of images."""
    counts = {"picture": 0, "similar": 0, "text": 0}
    relations: dict[Relation, Files] = {}
    certain = uncertain = Files()
    seen: set[str] = set()
    for group in groups:
        counts[group.family] += 1
        if group.family != "picture":
            continue
        # Several rows may refer to one file, and removing a copy of the kept file frees nothing.
        seen.add(group.kept.uri)
        for member in group.others:
            if not member.item.uri or member.item.uri in seen:
                continue
            seen.add(member.item.uri)
            size = member.item.size
            relations[member.relation] = relations.get(member.relation, Files()).plus(size)
            if is_certain(member):
                certain = certain.plus(size)
            else:
                uncertain = uncertain.plus(size)
    return Summary(counts, certain, uncertain, relations)


def is_certain(member: Member) -> bool:
    """Whether the member was compared with the kept item itself and is the same image."""
    return member.relation in SAME_PICTURE and not member.via


def largest(groups: Sequence[Group]) -> list[Group]:
    """Sorts groups by items and then by bytes besides the kept one, descending."""
    return sorted(
        groups,
        key=lambda group: (
            -len(group.others),
            -sum(member.item.size for member in group.others),
            group.id,
        ),
    )
