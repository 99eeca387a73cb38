"""mmsearch models --promote and --rollback: changes the model of a store, and back."""

from dataclasses import asdict
from pathlib import Path

from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.progress import ProgressDisplay
from mmsearch.cli.output.render import (
    counted,
    failures_table,
    stderr_console,
    stdout_console,
    to_json,
    write_text,
)


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
    """Moves the store to `model` and prints what was done."""
    from mmsearch.encoders.registry import resolve

    resolve(model)
    catalog = open_store(store, quiet=quiet, device=device)
    with ProgressDisplay(quiet=quiet) as progress:
        done = catalog.promote(model, force=force, dry_run=dry_run, progress=progress)
    if as_json:
        # The old name of `images` is kept for one version.
        write_text(to_json({"promotion": {**asdict(done), "pictures": done.images}}))
        return
    console = stderr_console(quiet=quiet)
    for reason in done.overruled:
        console.print(f"promoted with --force, although {reason}", markup=False, soft_wrap=True)
    if dry_run:
        write_text(f"dry run: the store would move from '{done.former}' to '{done.model}'")
        return
    if done.failures:
        stdout_console().print(failures_table(done.failures))
    write_text(f"the store now uses '{done.model}' for {counted(done.items, 'item')}")
    console.print("'mmsearch models --rollback' switches back")


def rollback_model(*, store: Path | None, dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Switches to the previous model, and prints which items differ."""
    done = open_store(store, quiet=quiet).rollback(dry_run=dry_run)
    if as_json:
        write_text(to_json({"rollback": done}))
        return
    verb = "dry run: would switch" if dry_run else "switched"
    items = counted(done.items, "item")
    write_text(f"{verb} from '{done.former}' to '{done.model}', {items}")
    differences = []
    if done.lacking:
        verb = "is" if done.lacking == 1 else "are"
        differences.append(f"{counted(done.lacking, 'current item')} {verb} missing from it")
    if done.gone:
        verb = "exists" if done.gone == 1 else "exist"
        differences.append(f"{done.gone:,} of its items no longer {verb}")
    if differences:
        stderr_console(quiet=quiet).print(
            f"{'; '.join(differences)}; 'mmsearch index' brings it up to date", soft_wrap=True
        )
