"""Opens the sources to evaluate or fine-tune on, and evaluates models on them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.catalog.opening import manifest_of
from mmsearch.catalog.resolve import Encoders, evaluated_fusion, model_name
from mmsearch.catalog.sources import plan_sources, source_notes, store_pictures
from mmsearch.config import Settings
from mmsearch.media import MediaBounds
from mmsearch.progress import ProgressListener
from mmsearch.sources import Source, SourceOptions
from mmsearch.store.spaces import live_folder

if TYPE_CHECKING:
    from mmsearch.evaluation.results import Evaluation
    from mmsearch.evaluation.run import EvaluationOptions


def evaluate_models(
    root: Path,
    sources: Sequence[Source],
    labels: "EvaluationOptions | None",
    settings: Settings,
    *,
    compare: Sequence[str],
    index: bool,
    progress: ProgressListener,
) -> "Evaluation":
    """Evaluates the catalog's model and those to compare it with on the same queries.

    Raises InputError, StoreNotFound, SpaceMismatch, MissingModel.
    """
    from mmsearch.encoders.devices import choose_device
    from mmsearch.evaluation.index_loss import open_live
    from mmsearch.evaluation.run import EvaluationOptions, evaluate

    live = open_live(live_folder(root), device=settings.device) if index else None
    device = choose_device(settings.device)
    progress.note(f"encoding on {device.name} ({device.reason})")
    options = replace(
        labels or EvaluationOptions(),
        batch_size=settings.batch_size or device.batch_size,
        bounds=MediaBounds.of(settings),
    )
    return evaluate(
        sources,
        [model_name(settings, manifest_of(root)), *compare],
        Encoders(settings).full,
        options,
        progress=progress,
        store=live,
        fuse=lambda model, space: evaluated_fusion(model, space, settings),
    )


def labelled_sources(
    root: Path,
    locations: Sequence[Path | str],
    options: SourceOptions | None,
    settings: Settings,
    *,
    purpose: str,
    progress: ProgressListener,
    compare: Sequence[str] = (),
) -> list[Source]:
    """Returns the sources to learn from or to evaluate on: all of the store's by default.

    compare: names of further models. Raises InputError, also where there is no such model.
    """
    from mmsearch.encoders.registry import resolve

    manifest = manifest_of(root)
    for name in (model_name(settings, manifest), *compare):
        resolve(name)
    pictures = store_pictures(root, read_only=True)
    plans = plan_sources(locations, manifest, options, settings, purpose=purpose, pictures=pictures)
    for note in source_notes(plans):
        progress.note(note)
    return [plan.source for plan in plans]
