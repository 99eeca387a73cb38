"""mmsearch models --promote and --rollback: the store's model is changed, and changed back."""

from pathlib import Path

from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import failures_table, stderr_console, stdout_console, to_json, write_text


def promote_model(
    model: str,
    *,
    store: Path | None,
    device: str | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Moves the store to `model` and says what was done."""
    from mmsearch.catalog import open_catalog

    catalog = open_catalog(store, device=device)
    with ProgressDisplay(quiet=quiet) as progress:
        done = catalog.promote(model, force=force, dry_run=dry_run, progress=progress)
    if as_json:
        write_text(to_json({"promotion": done}))
        return
    console = stderr_console(quiet=quiet)
    for reason in done.overruled:
        console.print(f"promoted although {reason}", markup=False, soft_wrap=True)
    if dry_run:
        write_text(f"dry run: '{done.former}' would become '{done.model}'")
        return
    if done.failures:
        stdout_console().print(failures_table(done.failures))
    write_text(f"{done.items:,} items are searched with '{done.model}' now")
    console.print("'mmsearch models --rollback' goes back", highlight=False)


def rollback_model(*, store: Path | None, dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Goes back to the model before, or forward again, and says what is different there."""
    from mmsearch.catalog import open_catalog

    done = open_catalog(store).rollback(dry_run=dry_run)
    if as_json:
        write_text(to_json({"rollback": done}))
        return
    verb = "dry run: would go" if dry_run else "went"
    write_text(f"{verb} from '{done.former}' to '{done.model}', {done.items:,} items")
    if done.lacking or done.gone:
        stderr_console(quiet=quiet).print(
            f"it lacks {done.lacking:,} items of now and has {done.gone:,} that are gone; "
            "'mmsearch index' brings it up to date",
            highlight=False,
            soft_wrap=True,
        )
