"""Words for the text tower: WordNet's lemmas, glosses and examples; ImageNet's class names.

Everything here is text alone; what is said about pictures comes from their readers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsearch.errors import InputError

# WordNet's lexicographer files whose nouns can be seen in a picture.
_VISIBLE = {
    5: "animal",
    6: "artifact",
    8: "body",
    13: "food",
    17: "object",
    18: "person",
    20: "plant",
}


@dataclass(frozen=True, slots=True)
class Synset:
    """One WordNet noun, verb or adjective sense."""

    words: tuple[str, ...]
    visible: bool
    definition: str
    examples: tuple[str, ...]


def read_wordnet(path: Path) -> list[Synset]:
    """The data files of WordNet 3.0, with empty senses left out."""
    synsets: list[Synset] = []
    for name in ("data.noun", "data.verb", "data.adj", "data.adv"):
        file = path / name
        if not file.exists():
            raise InputError(f"no {name} in {path}; give WordNet's folder of data files")
        for line in file.read_text("utf-8", errors="replace").splitlines():
            if not line.startswith("  ") and "|" in line:
                synsets.append(_synset(line, noun=name == "data.noun"))  # noqa: PERF401
    return synsets


def _synset(line: str, *, noun: bool) -> Synset:
    left, gloss = line.split("|", 1)
    fields = left.split()
    count = int(fields[3], 16)
    # A word may carry its place in a phrase: "galore(ip)".
    words = [re.sub(r"\(.*\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(count)]
    examples = re.findall(r'"([^"]+)"', gloss)
    definition = re.sub(r'"[^"]*"', "", gloss)
    definition = re.sub(r"\([^)]*\)", "", definition).strip(" ;")
    return Synset(tuple(words), noun and int(fields[1]) in _VISIBLE, definition, tuple(examples))


@dataclass(frozen=True, slots=True)
class ClassNames:
    """ImageNet's classes in the order of the classifier's outputs."""

    names: tuple[tuple[str, ...], ...]  # for each class its names, the commonest first
    definitions: tuple[str, ...]

    def texts(self) -> list[str]:
        return [name for names in self.names for name in names]


def imagenet_names() -> ClassNames:
    """OpenAI's short name first, then WordNet's synonyms, as timm and open_clip carry them."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    names, definitions = [], []
    for index, short in enumerate(IMAGENET_CLASSNAMES):
        detailed = info.index_to_description(index, detailed=True)
        synonyms, _, definition = detailed.partition(": ")
        names.append(tuple(dict.fromkeys([short, *synonyms.split(", ")])))
        definitions.append(definition)
    return ClassNames(tuple(names), tuple(definitions))


def lexical_texts(synsets: Sequence[Synset]) -> list[str]:
    """Lemmas, glosses and examples of WordNet, each once; proper names of people left out."""
    texts: dict[str, None] = {}
    for synset in synsets:
        for word in synset.words:
            texts.setdefault(word)
        for text in (synset.definition, *synset.examples):
            if 2 <= len(text.split()) <= 24:
                texts.setdefault(text)
    return list(texts)


def visible_nouns(synsets: Sequence[Synset]) -> list[str]:
    """Lower-case nouns of things that can be seen, of at most two words."""
    nouns: dict[str, None] = {}
    for synset in synsets:
        if synset.visible:
            for word in synset.words[:2]:
                if word == word.lower() and len(word.split()) <= 2:
                    nouns.setdefault(word)
    return list(nouns)
