"""What every score of fine-tuning is the mean of, in the domain as in general."""

from collections.abc import Sequence

from mmsearch.evaluation.retrieval import rank
from mmsearch.evaluation.tasks import Task
from mmsearch.evaluation.zero_shot import ClassTask, predict
from mmsearch.records import Floats, Target

RECALL_AT = (1, 10)
ACCURACY = "accuracy by title"


def score_parts(
    tasks: Sequence[Task],
    classes: ClassTask | None,
    *,
    pictures: Floats,
    texts: Floats,
    prompts: Floats,
) -> dict[str, float]:
    """pictures (p, dim), texts (t, dim), prompts (c, dim): float32 unit rows → shares by name.

    prompts: of all classes; not looked at where there are none.
    """
    vectors: dict[Target, Floats] = {"image": pictures, "text": texts}
    parts: dict[str, float] = {}
    for task in tasks:
        queries = vectors[task.query][task.queries]
        ranking = rank(task, queries, vectors[task.candidate][task.candidates])
        way = task.direction.replace("-to-", " → ")
        for k in RECALL_AT:
            parts[f"{way} recall@{k}"] = float(ranking.recall_at(k).mean())
    if classes is not None:
        named = predict(classes, pictures[classes.images], prompts)
        parts[ACCURACY] = float((named == classes.actual).mean())
    return parts
