"""mmsearch finetune: fine-tunes a model on the user's own catalog and compares before and after."""

from pathlib import Path

from mmsearch.cli import options
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.progress import ProgressDisplay
from mmsearch.cli.output.render import counted, stderr_console, stdout_console, to_json, write_text
from mmsearch.cli.training import finetune_options


def finetune(
    *,
    sources: finetune_options.Sources = None,
    out: finetune_options.Out = None,
    method: finetune_options.Method = "auto",
    dry_run: finetune_options.DryRun = False,
    resume: finetune_options.Resume = False,
    promote: finetune_options.Promote = False,
    model: finetune_options.StartModel = None,
    epochs: finetune_options.Epochs = None,
    batch_size: finetune_options.BatchSize = None,
    learning_rate: finetune_options.LearningRate = None,
    loss: finetune_options.Loss = "infonce",
    lock: finetune_options.Lock = "none",
    fusion: finetune_options.Fusion = "none",
    teacher: finetune_options.Teacher = None,
    hard_negatives: finetune_options.HardNegatives = None,
    trials: finetune_options.Trials = None,
    seed: finetune_options.Seed = 0,
    settings: finetune_options.Settings = None,
    force: finetune_options.Force = False,
    classes: finetune_options.Classes = None,
    group: finetune_options.Group = None,
    texts: finetune_options.Texts = None,
    split: finetune_options.Split = None,
    split_column: finetune_options.SplitColumn = None,
    kind: options.Kind = "auto",
    image_column: options.ImageColumn = None,
    text_columns: options.TextColumns = None,
    id_column: options.IdColumn = None,
    store: options.Store = None,
    device: options.Device = None,
    tensorboard: finetune_options.Tensorboard = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune a model on your own catalog, and compare it with the original.

    Images need texts or classes. Part of the data is held out for the comparison. The tuned weights
    are interpolated with the original ones so that at most 1% of general accuracy is lost.
    """
    from mmsearch.cli.training.finetune_tables import (
        finetuned_document,
        finetuned_tables,
        plan_document,
        plan_text,
        summary,
    )
    from mmsearch.finetuning.options import read_options

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
        text_columns=options.names(texts) or None,
        shares=split,
        seed=seed,
        tensorboard=tensorboard,
    )
    reading = options.source_options(kind, image_column, text_columns, id_column)
    catalog = open_store(store, quiet=quiet, model=model, device=device)
    console = stderr_console(quiet=quiet)
    if dry_run:
        with ProgressDisplay(quiet=quiet) as progress:
            plan = catalog.plan_finetune(
                *(sources or ()), training=training, options=reading, progress=progress
            )
        document = {"dry_run": True, "plan": plan_document(plan)}
        write_text(to_json(document) if as_json else plan_text(plan))
        return
    if promote:
        # A missing store is better reported before the training than after it.
        catalog.info()
    with ProgressDisplay(quiet=quiet) as progress:
        found = catalog.finetune(
            *(sources or ()), training=training, options=reading, progress=progress
        )
    if found is None:
        # Under torchrun the first process reports for all.
        return
    done = None
    if promote:
        # Before the tables: their reader may close the pipe.
        with ProgressDisplay(quiet=quiet) as progress:
            done = catalog.promote(str(found.folder), force=force, progress=progress)
    if as_json:
        write_text(to_json({"finetune": finetuned_document(found)}))
    else:
        for part in finetuned_tables(found):
            stdout_console().print(part)
    for line in (summary(found), *next_steps(found.folder, promoted=promote)):
        console.print(line, soft_wrap=True, markup=False)
    if done is not None:
        console.print(
            f"the store now uses '{done.model}' for {counted(done.items, 'item')}; "
            "'mmsearch models --rollback' switches back",
            soft_wrap=True,
            markup=False,
        )


def next_steps(folder: Path, *, promoted: bool) -> list[str]:
    """Returns where the model and its report are, and how to use the model."""
    lines = [f"model: {folder}"]
    if (report := folder / "report.html").exists():
        lines.append(f"report: {report}")
    if not promoted:
        lines.append(
            f"next: mmsearch models --promote {folder}, or --model {folder} with any command"
        )
    return lines
