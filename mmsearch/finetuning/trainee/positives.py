"""Which pairs of a batch belong together, and which are neither right nor wrong."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmsearch.finetuning.data.hard_negatives import SAME_MEANING
from mmsearch.finetuning.data.sampling import Draw
from mmsearch.records import Floats, Ids


def positives_and_ignored(
    draw: Draw, text_similarity: Floats | None = None, *, threshold: float = SAME_MEANING
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """bool (b, b) twice: whether the picture of row i and the text of column j belong together, and
    whether the pair counts as neither right nor wrong. A pair that lacks its picture or its text
    is ignored.

    text_similarity: float32 (b, b), cosines of the drawn texts, the start model's for choice: rows
    and columns are texts. Two texts from `threshold` on may mean the same.
    """
    right = draw.groups[:, None] == draw.groups[None, :]
    right |= _has_text(draw.own_text_ids, draw.text_ids)
    present = draw.has_image[:, None] & draw.has_text[None, :]
    ignored = ~present
    if text_similarity is not None:
        both = draw.has_text[:, None] & draw.has_text[None, :]
        ignored |= both & (text_similarity >= threshold) & ~right
    return right & present, ignored


def _has_text(own: Sequence[tuple[int, ...]], text_ids: Ids) -> NDArray[np.bool_]:
    """bool (b, b): whether text j is one of those that are right for item i."""
    ids, columns = np.unique(text_ids, return_inverse=True)
    known = {text_id: at for at, text_id in enumerate(ids.tolist()) if text_id >= 0}
    held = np.zeros((len(own), len(ids)), np.bool_)
    for row, texts in enumerate(own):
        held[row, [known[text_id] for text_id in texts if text_id in known]] = True
    found: NDArray[np.bool_] = held[:, columns]
    return found
