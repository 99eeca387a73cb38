"""mmsearch evaluate: how well models find labelled answers, and what an index loses."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmsearch.cli import options
from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import stderr_console, stdout_console, to_json, write_text

if TYPE_CHECKING:
    from mmsearch.catalog import Catalog
    from mmsearch.evaluation.index_loss import LiveStore
    from mmsearch.scores import Evaluation
    from mmsearch.sources import Source, SourceOptions


def evaluate(
    sources: Annotated[
        list[Path], typer.Argument(help="Folders or tables, as 'mmsearch index' reads them.")
    ],
    queries: Annotated[
        Path | None,
        typer.Option(
            help="Queries with their relevant keys (JSONL or a table), instead of the pairs.",
            metavar="FILE",
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="The column of class names: zero-shot.", metavar="COLUMN")
    ] = None,
    class_names: Annotated[
        Path | None,
        typer.Option(help="All classes, one a line, if not each has a picture.", metavar="FILE"),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(help="A prompt with {} for the class's name; repeatable, averaged."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="The column of groups whose items answer each other. Default: --classes.",
            metavar="COLUMN",
        ),
    ] = None,
    model: options.Model = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Another model to compare with --model; repeatable.", metavar="MODEL"),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Also measure what this store's live index loses.", metavar="DIR"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write plots and pictures as one page.", metavar="FILE")
    ] = None,
    kind: Annotated[
        Literal["auto", "folder", "table"], typer.Option(help="How to read the sources.")
    ] = "auto",
    image_column: Annotated[str | None, typer.Option(help="The table's image column.")] = None,
    text_columns: Annotated[
        str | None, typer.Option(help="The table's text columns, separated by commas.")
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="The table's id column.")] = None,
    device: options.Device = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures per forward pass.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 6 if any item failed.")
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure models on labelled pictures and texts: retrieval both ways, and zero-shot classes.

    Each number comes with its bootstrap 95% interval. Nothing is indexed, nothing is written but
    the report.
    """
    from mmsearch.catalog import DEFAULT_MODEL, open_catalog
    from mmsearch.cli.scores import score_document, score_tables
    from mmsearch.encoders.devices import choose_device
    from mmsearch.encoders.registry import load_encoder
    from mmsearch.errors import FailuresFound, InputError
    from mmsearch.evaluation.run import EvaluationOptions
    from mmsearch.evaluation.run import evaluate as run_evaluation
    from mmsearch.evaluation.zero_shot import TEMPLATES
    from mmsearch.media import MediaBounds
    from mmsearch.sources import SourceOptions

    if classes is None and (class_names or template):
        raise InputError("--class-names and --template need the column of labels; add --classes")
    if report is not None:
        require_page(report)
    catalog = open_catalog(store, model=model, device=device, batch_size=batch_size)
    settings = catalog.settings
    choice = choose_device(settings.device)
    size = settings.batch_size or choice.batch_size
    live = open_live(catalog) if store is not None else None
    own = live.store.manifest.model if live is not None else DEFAULT_MODEL
    given = SourceOptions(
        kind=kind,
        image_column=image_column,
        text_columns=tuple(text_columns.split(",")) if text_columns else (),
        id_column=id_column,
        max_text_bytes=settings.max_text_bytes,
    )
    with ProgressDisplay(quiet=quiet) as progress:
        progress.note(f"encoding on {choice.name} ({choice.reason})")
        opened = open_sources(sources, given, live)
        for source in opened:
            for note in source.notes:
                progress.note(f"{source.name}: {note}")
        found = run_evaluation(
            opened,
            [settings.model or own, *(compare or ())],
            lambda name: load_encoder(name, device=settings.device, batch_size=size),
            EvaluationOptions(
                queries=queries,
                classes=classes,
                class_names=read_lines(class_names) if class_names else (),
                group=group,
                templates=tuple(template or TEMPLATES),
                batch_size=size,
                bounds=MediaBounds(
                    max_pixels=settings.max_pixels,
                    max_bytes=settings.max_image_bytes,
                    max_text_bytes=settings.max_text_bytes,
                ),
            ),
            progress=progress,
            store=live,
        )
    if as_json:
        write_text(to_json({"evaluation": score_document(found)}))
    else:
        for part in score_tables(found):
            stdout_console().print(part)
    console = stderr_console(quiet=quiet)
    if report is not None:
        from mmsearch.report.evaluation_page import write_evaluation

        write_evaluation(found, report)
        console.print(f"wrote {report}", soft_wrap=True, markup=False)
    for note in (*found.notes, *failure_notes(found)):
        console.print(note, soft_wrap=True, markup=False)
    if strict and found.failures:
        raise FailuresFound(*failure_notes(found))


def failure_notes(found: "Evaluation") -> list[str]:
    """How many could not be used, and the first of them."""
    count, first = len(found.failures), next(iter(found.failures), None)
    if first is None:
        return []
    return [f"{count:,} could not be used; the first is {first.key}: {first.reason}"]


def require_page(report: Path) -> None:
    """Before hours of encoding: raises InputError, MissingDependency if no page can be written."""
    from mmsearch.errors import InputError
    from mmsearch.report.plots import require_matplotlib

    require_matplotlib()
    if not report.absolute().parent.is_dir():
        raise InputError(f"--report: there is no folder for {report}; make it, or name another")


def open_live(catalog: "Catalog") -> "LiveStore":
    """Raises StoreNotFound; InputError where the store holds no index yet."""
    from mmsearch.errors import InputError
    from mmsearch.evaluation.index_loss import LiveStore
    from mmsearch.generations import live_generation
    from mmsearch.store.lance import Store

    on_gpu = not catalog.settings.device.startswith(("cpu", "mps"))
    generation = live_generation(catalog.folder, on_gpu=on_gpu)
    opened = Store.open(catalog.folder)
    if generation is None:
        raise InputError(f"{catalog.folder} holds no index yet; run 'mmsearch index' first")
    return LiveStore(opened, generation)


def open_sources(
    locations: Sequence[Path], given: "SourceOptions", live: "LiveStore | None"
) -> list["Source"]:
    """As the store knows them, by name and options, so that keys are the same."""
    from mmsearch.catalog import restored_options, unused_name
    from mmsearch.records import printable_path
    from mmsearch.sources import SourceOptions, open_source

    known = live.store.manifest.sources if live is not None else ()
    entries = {entry.location: entry for entry in known}
    said = replace(given, max_text_bytes=SourceOptions().max_text_bytes) != SourceOptions()
    sources: list[Source] = []
    for location in locations:
        place = location.absolute()
        entry = entries.get(printable_path(place))
        taken = [*(each.name for each in known), *(source.name for source in sources)]
        name = entry.name if entry else unused_name(place, taken)
        kept = restored_options(entry.options) if entry and not said else given
        options = replace(kept, max_text_bytes=given.max_text_bytes)
        sources.append(open_source(place, name=name, options=options))
    return sources


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines that are not blank, trimmed. Raises InputError, UnreadableMedia."""
    from mmsearch.media import read_text

    return tuple(line.strip() for line in read_text(path).splitlines() if line.strip())
