"""mmsearch finetune: makes a model better on your own catalog, proves it, keeps what it knew."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmsearch.cli import options
from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import stderr_console, stdout_console, to_json, write_text

_TRAINED, _DATA = "What is trained", "Data"


def finetune(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders or tables, as 'mmsearch index' reads them. None: the store's own.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The model folder to write. Default: SOURCE-model.", metavar="DIR"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run that was stopped in --out.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained; write nothing.")
    ] = False,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote", help="Embed the store with the new model and swap, unless it got worse."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Promote a model that got worse, too.")
    ] = False,
    store: options.Store = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="To start from, as in 'mmsearch index'. Default: the store's own, or builtin.",
            metavar="NAME",
            rich_help_panel=_TRAINED,
        ),
    ] = None,
    method: Annotated[
        Literal["auto", "head", "lora", "last-n", "full"],
        typer.Option(
            help="head: the projections, minutes on a CPU; lora: adapters, merged in the end; "
            "last-n: the last blocks; full: all. auto: head on a CPU, lora on a GPU.",
            rich_help_panel=_TRAINED,
        ),
    ] = "auto",
    loss: Annotated[
        Literal["infonce", "sigmoid"],
        typer.Option(help="CLIP's loss, or SigLIP's.", rich_help_panel=_TRAINED),
    ] = "infonce",
    lock: Annotated[
        Literal["none", "image", "text"],
        typer.Option(help="A tower that stays as it is.", rich_help_panel=_TRAINED),
    ] = "none",
    fusion: Annotated[
        Literal["none", "auto", "late", "early", "attention"],
        typer.Option(help="Learn how picture and text make a product.", rich_help_panel=_TRAINED),
    ] = "none",
    teacher: Annotated[
        str | None,
        typer.Option(help="A model to learn from.", metavar="NAME", rich_help_panel=_TRAINED),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Default: by method.", rich_help_panel=_TRAINED)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Items a step, in all processes.", rich_help_panel=_TRAINED)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Default: by method.", rich_help_panel=_TRAINED)
    ] = None,
    hard_negatives: Annotated[
        int | None,
        typer.Option(
            help="So many of each item join its batch, mined anew each epoch.",
            rich_help_panel=_TRAINED,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Look for good settings first, so often.", rich_help_panel=_TRAINED),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Any other setting, such as rank=16 or keep_weight=1; repeatable.",
            metavar="NAME=VALUE",
            rich_help_panel=_TRAINED,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="The column of class names; 'folder' names pictures by their folders.",
            metavar="COLUMN",
            rich_help_panel=_DATA,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="The column of products, whose pictures stay together and answer each other.",
            metavar="COLUMN",
            rich_help_panel=_DATA,
        ),
    ] = None,
    texts: Annotated[
        str | None,
        typer.Option(
            help="Columns that are each a text of its own, separated by commas.",
            metavar="COLUMNS",
            rich_help_panel=_DATA,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Shares of train:val:test. Default: 70:20:10.", rich_help_panel=_DATA),
    ] = None,
    split_column: Annotated[
        str | None,
        typer.Option(
            help="The column that says train, val or test.", metavar="COLUMN", rich_help_panel=_DATA
        ),
    ] = None,
    kind: Annotated[
        Literal["auto", "folder", "table"],
        typer.Option(help="How to read the sources.", rich_help_panel=_DATA),
    ] = "auto",
    image_column: Annotated[
        str | None, typer.Option(help="The table's image column.", rich_help_panel=_DATA)
    ] = None,
    text_columns: Annotated[
        str | None,
        typer.Option(help="The table's text columns, separated by commas.", rich_help_panel=_DATA),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="The table's id column.", rich_help_panel=_DATA)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything drawn by chance.")] = 0,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Curves in OUT/work/tensorboard.")
    ] = False,
    device: options.Device = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a model better on your own catalog: train, compare before and after, keep what it knew.

    Pictures need texts or classes. A part is held back for the comparison. Of what was learned, so
    much is taken over as costs at most 1% of what the model knew in general.
    """
    from mmsearch.catalog import open_catalog
    from mmsearch.cli.finetuning import finetuned_document, finetuned_tables, plan_text
    from mmsearch.finetuning.options import read_options
    from mmsearch.sources import SourceOptions

    training = read_options(
        settings or (),
        out=out,
        resume=resume,
        method=method,
        loss=loss,
        lock=lock,
        fusion=fusion,
        teacher=teacher,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        hard_negatives=hard_negatives,
        trials=trials,
        classes=classes,
        group=group,
        split_column=split_column,
        text_columns=tuple(texts.split(",")) if texts else None,
        shares=split,
        seed=seed,
        tensorboard=tensorboard,
    )
    given = SourceOptions(
        kind=kind,
        image_column=image_column,
        text_columns=tuple(text_columns.split(",")) if text_columns else (),
        id_column=id_column,
    )
    # What nobody said is as the store knows the source.
    reading = None if given == SourceOptions() else given
    catalog, console = open_catalog(store, model=model, device=device), stderr_console(quiet=quiet)
    if dry_run:
        with ProgressDisplay(quiet=quiet) as progress:
            plan = catalog.plan_finetune(
                *(sources or ()), training=training, options=reading, progress=progress
            )
        shown = to_json({"dry_run": True, "plan": plan}) if as_json else plan_text(plan)
        write_text(shown)
        return
    if promote:
        # There must be a store, which is better said before the training than after.
        catalog.info()
    with ProgressDisplay(quiet=quiet) as progress:
        found = catalog.finetune(
            *(sources or ()), training=training, options=reading, progress=progress
        )
    if found is None:
        # Under torchrun the first process speaks for all.
        return
    if as_json:
        write_text(to_json({"finetune": finetuned_document(found)}))
    else:
        for part in finetuned_tables(found):
            stdout_console().print(part)
    for line in next_steps(found.folder, promoted=promote):
        console.print(line, soft_wrap=True, markup=False)
    if promote:
        with ProgressDisplay(quiet=quiet) as progress:
            done = catalog.promote(str(found.folder), force=force, progress=progress)
        console.print(
            f"{done.items:,} items are searched with '{done.model}' now; 'mmsearch models "
            "--rollback' goes back",
            soft_wrap=True,
            markup=False,
        )


def next_steps(folder: Path, *, promoted: bool) -> list[str]:
    lines = [f"the model: {folder}"]
    if (report := folder / "report.html").exists():
        lines.append(f"how it came about: {report}")
    if not promoted:
        lines.append(f"next: mmsearch models --promote {folder}, or --model {folder} anywhere")
    return lines
