"""A split of the catalog as labelled data: what training is judged by, and what is reported.

The score in the domain is the mean of recall@1 and recall@10, both ways between pictures and their
texts, and of the accuracy by class title, as far as the split has texts and classes. It is
computed by the code that `mmsearch evaluate` runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmsearch.errors import InputError
from mmsearch.evaluation.labels import NONE, LabelledItem, LabelledSet, Pool
from mmsearch.evaluation.tasks import Task, tasks_from_pairs
from mmsearch.evaluation.zero_shot import ClassTask, class_task
from mmsearch.finetuning.data.training_set import UNLABELLED, SplitName, TrainCatalog
from mmsearch.finetuning.scoring.score_parts import score_parts
from mmsearch.records import Floats, Ids
from mmsearch.text import first_line

SCORE_NAME = "score"


@dataclass(frozen=True, slots=True)
class DomainSet:
    """A split, ready to be measured again and again.

    pictures: int64 (p,), of each distinct picture an item that shows it, as a place in the catalog.
    texts: the distinct ones, then the prompts of all classes.
    """

    pictures: Ids
    texts: Sequence[str]
    tasks: Sequence[Task]
    classes: ClassTask | None

    def score(self, encode: Callable[[Ids, Sequence[str]], tuple[Floats, Floats]]) -> float:
        """encode: items' pictures and texts → float32 (p, dim) and (t, dim), unit rows."""
        parts = self.parts(*encode(self.pictures, self.texts))
        return sum(parts.values()) / len(parts)

    def parts(self, pictures: Floats, texts: Floats) -> dict[str, float]:
        """pictures: float32 (p, dim), texts: float32 (t, dim), unit rows → shares by name."""
        count = 0 if self.classes is None else len(self.classes.prompts)
        prompts = texts[len(texts) - count :]
        return score_parts(
            self.tasks, self.classes, pictures=pictures, texts=texts, prompts=prompts
        )


def domain_set(
    catalog: TrainCatalog, positions: Ids, templates: Sequence[str], split: SplitName
) -> DomainSet:
    """positions: int64 (n,), the split's. Raises InputError where nothing in it can be measured."""
    labels = labelled(catalog, positions, grouped=False)
    tasks = tasks_from_pairs(labels.items, grouped=False)
    classes = None
    if any(item.label is not None and item.image != NONE for item in labels.items):
        classes = class_task(labels.items, templates, catalog.classes)
    if not tasks and classes is None:
        raise InputError(
            f"no item of the {split} split has a picture with a text or a class, so that nothing "
            "can be measured; add items, or give it a larger share"
        )
    shown: dict[int, int] = {}
    for place, item in zip(positions.tolist(), labels.items, strict=True):
        shown.setdefault(item.image, place)
    return DomainSet(
        np.array([shown[picture] for picture in range(len(labels.pool.images))], np.int64),
        [*labels.pool.texts, *(classes.prompts if classes else ())],
        tasks,
        classes,
    )


def labelled(catalog: TrainCatalog, positions: Ids, *, grouped: bool) -> LabelledSet:
    """LabelledItem by item, in order. grouped: groups are products; otherwise the classes are."""
    pool, items = Pool(), list[LabelledItem]()
    for place in positions.tolist():
        found = catalog.items[place]
        text = found.texts[0] if found.texts else None
        label = None if found.label == UNLABELLED else catalog.classes[found.label]
        items.append(
            LabelledItem(
                found.key,
                pool.add_image(found.picture, first_line(text or "")) if found.picture else NONE,
                pool.add_text(text) if text is not None else NONE,
                label,
                str(found.group) if grouped else label,
            )
        )
    return LabelledSet(items, pool, catalog.failures)
