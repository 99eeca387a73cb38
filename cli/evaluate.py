"""mmsearch evaluate: how well models find labelled answers, and what an index loses."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmsearch.cli import options
from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import stderr_console, stdout_console, to_json, write_text

if TYPE_CHECKING:
    from mmsearch.evaluation.results import Evaluation


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
    from mmsearch.catalog import open_catalog
    from mmsearch.cli.scores import score_document, score_tables
    from mmsearch.errors import FailuresFound, InputError
    from mmsearch.evaluation.run import EvaluationOptions
    from mmsearch.evaluation.zero_shot import TEMPLATES
    from mmsearch.sources import SourceOptions

    if classes is None and (class_names or template):
        raise InputError("--class-names and --template need the column of labels; add --classes")
    if report is not None:
        require_page(report)
    given = SourceOptions(
        kind=kind,
        image_column=image_column,
        text_columns=tuple(text_columns.split(",")) if text_columns else (),
        id_column=id_column,
    )
    with ProgressDisplay(quiet=quiet) as progress:
        found = open_catalog(store, model=model, device=device, batch_size=batch_size).evaluate(
            *sources,
            labels=EvaluationOptions(
                queries=queries,
                classes=classes,
                class_names=read_lines(class_names) if class_names else (),
                group=group,
                templates=tuple(template or TEMPLATES),
            ),
            compare=compare or (),
            index=store is not None,
            # What nobody said is as the store knows the source.
            options=None if given == SourceOptions() else given,
            progress=progress,
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


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines that are not blank, trimmed. Raises InputError, UnreadableMedia."""
    from mmsearch.media import read_text

    return tuple(line.strip() for line in read_text(path).splitlines() if line.strip())
