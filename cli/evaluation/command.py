"""mmsearch evaluate: how well models retrieve labelled items, and what an index loses."""

from pathlib import Path
from typing import TYPE_CHECKING

from mmsearch.cli import options
from mmsearch.cli.evaluation import options as evaluate_options
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.progress import ProgressDisplay
from mmsearch.cli.output.render import counted, stderr_console, stdout_console, to_json, write_text

if TYPE_CHECKING:
    from mmsearch.evaluation.results import Evaluation


def evaluate(
    *,
    sources: evaluate_options.Sources,
    classes: evaluate_options.Classes = None,
    queries: evaluate_options.Queries = None,
    compare: evaluate_options.Compare = None,
    report: evaluate_options.Report = None,
    group: evaluate_options.Group = None,
    class_names: evaluate_options.ClassNames = None,
    template: evaluate_options.Template = None,
    model: options.Model = None,
    store: evaluate_options.Store = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    kind: options.Kind = "auto",
    image_column: options.ImageColumn = None,
    text_columns: options.TextColumns = None,
    id_column: options.IdColumn = None,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure retrieval and zero-shot classification on labelled images and texts.

    Every metric comes with its 95% bootstrap interval. Nothing is indexed, and only the report is
    written.
    """
    from mmsearch.cli.evaluation.score_document import score_document
    from mmsearch.cli.evaluation.score_tables import score_tables, summary
    from mmsearch.errors import FailuresFound
    from mmsearch.evaluation.run import EvaluationOptions
    from mmsearch.evaluation.zero_shot import TEMPLATES

    if report is not None:
        require_page(report)
    with ProgressDisplay(quiet=quiet) as progress:
        found = open_store(
            store, quiet=quiet, model=model, device=device, batch_size=batch_size
        ).evaluate(
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
            options=options.source_options(kind, image_column, text_columns, id_column),
            progress=progress,
        )
    console = stderr_console(quiet=quiet)
    if report is not None:
        from mmsearch.report.evaluation_page import write_evaluation

        write_evaluation(found, report)
        console.print(f"wrote {report}", soft_wrap=True, markup=False)
    if as_json:
        write_text(to_json({"evaluation": score_document(found)}))
    else:
        stdout = stdout_console()
        for part in score_tables(found, stdout.width):
            stdout.print(part)
    for note in (*found.notes, *failure_notes(found), *summary(found)):
        console.print(note, soft_wrap=True, markup=False)
    if strict and found.failures:
        raise FailuresFound(*failure_notes(found))


def failure_notes(found: "Evaluation") -> list[str]:
    """How many items could not be used, and the first of them."""
    first = next(iter(found.failures), None)
    if first is None:
        return []
    skipped = counted(len(found.failures), "item")
    return [f"{skipped} skipped; the first is {first.key}: {first.reason}"]


def require_page(report: Path) -> None:
    """Raises InputError or MissingDependency before hours of encoding, not after them."""
    from mmsearch.errors import InputError
    from mmsearch.report.plots import require_matplotlib

    require_matplotlib()
    if not report.absolute().parent.is_dir():
        raise InputError(f"--report: the folder of {report} does not exist; create it first")


def read_lines(path: Path) -> tuple[str, ...]:
    """Returns the lines that are not blank, stripped. Raises InputError, UnreadableMedia."""
    from mmsearch.media import read_text

    return tuple(line.strip() for line in read_text(path).splitlines() if line.strip())
