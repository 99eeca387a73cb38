"""A report in numbers: groups, files, bytes that could be freed, what is certain, what is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmsearch.dedup.results import SAME_PICTURE, Group, Member, Relation


@dataclass(frozen=True, slots=True)
class Files:
    """bytes: of all of them together."""

    count: int = 0
    bytes: int = 0

    def plus(self, size: int) -> "Files":
        return Files(self.count + 1, self.bytes + size)


@dataclass(frozen=True, slots=True)
class Summary:
    """What groups of one picture would free, each file counted once.

    groups: by family. certain: files whose content also is in the kept one, as a comparison with it
    showed. uncertain: files for a person to look at. relations: all of them by relation.
    """

    groups: Mapping[str, int]
    certain: Files
    uncertain: Files
    relations: Mapping[Relation, Files]

    @property
    def files(self) -> Files:
        return Files(
            self.certain.count + self.uncertain.count, self.certain.bytes + self.uncertain.bytes
        )


def summarised(groups: Sequence[Group]) -> Summary:
    counts = {"picture": 0, "similar": 0, "text": 0}
    relations: dict[Relation, Files] = {}
    certain = uncertain = Files()
    seen: set[str] = set()
    for group in groups:
        counts[group.family] += 1
        if group.family != "picture":
            continue
        # Several rows may show one file, and the kept one's file frees nothing.
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
    """Whether the member itself was compared with the kept one and is the same picture."""
    return member.relation in SAME_PICTURE and not member.via


def largest(groups: Sequence[Group]) -> list[Group]:
    """The groups by items and then by bytes beside the kept one, the largest first."""
    return sorted(
        groups,
        key=lambda group: (
            -len(group.others),
            -sum(member.item.size for member in group.others),
            group.id,
        ),
    )
