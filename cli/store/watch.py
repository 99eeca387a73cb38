"""mmsearch watch: keeps the store up to date while files change."""

import signal
from collections.abc import Sequence
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.output.opened_store import lies_above, open_store
from mmsearch.cli.output.render import report_lines, stderr_console, to_json, write_text
from mmsearch.cli.parameters import with_options
from mmsearch.cli.store import index_options
from mmsearch.cli.store.index import ask_to_add
from mmsearch.text import visible

if TYPE_CHECKING:
    from mmsearch.records import IngestReport
    from mmsearch.watching import Update


def watch(
    *,
    sources: index_options.Sources = None,
    once: Annotated[
        bool, typer.Option("--once", help="Look at every source once, and end.")
    ] = False,
    store: options.Store = None,
    lock_timeout: index_options.LockTimeout = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    workers: index_options.Workers = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a line of JSON (schema version 1) to stdout for each update."
        ),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Keep a store up to date while the files of its sources change.

    Updates are those of 'mmsearch index' without options. SIGTERM ends it with exit code 0.
    """
    catalog = open_store(
        store,
        quiet=quiet,
        lock_timeout=lock_timeout,
        device=device,
        batch_size=batch_size,
        workers=workers,
    )
    if lies_above(catalog, store):
        ask_to_add(catalog, sources or ())
    console = stderr_console(quiet=quiet)

    def note(message: str) -> None:
        console.print(visible(with_options(message)), markup=False, soft_wrap=True)

    from mmsearch.watching import Watcher

    watcher = Watcher(catalog.root, catalog.settings, note)
    terminated = False

    def terminate(_number: int, _frame: FrameType | None) -> None:
        # Ends an update in the same way as Ctrl-C.
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        if not once:
            note("watching for changes; Ctrl-C ends")
        told: dict[tuple[str, ...], Sequence[object]] = {}
        for update in watcher.look(sources or ()) if once else watcher.run(sources or ()):
            if as_json:
                write_text(_json_line(update))
            elif _is_new(update.report, told.get(update.sources)):
                note(_line(update))
            told[update.sources] = _lasting(update.report)
    except KeyboardInterrupt:
        if not terminated:
            raise
        note("ended; what was written is kept")
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_new(report: "IngestReport", told: Sequence[object] | None) -> bool:
    """Whether an update changed anything. told: of the last update of the same sources."""
    changed = report.added + report.updated + report.moved + report.restored
    return told is None or changed > 0 or _lasting(report) != told


def _lasting(report: "IngestReport") -> Sequence[object]:
    """Returns what every update reports again: missing items and failures."""
    return (report.missing, *(failure.key for failure in report.failures))


def _line(update: "Update") -> str:
    """'12:03:05 photos: added 3 · updated 0 · unchanged 12'."""
    names = f" {', '.join(update.sources)}" if update.sources else ""
    return f"{datetime.now():%H:%M:%S}{names}: {report_lines(update.report)[0]}"


def _json_line(update: "Update") -> str:
    return to_json(
        {
            "time": datetime.now().astimezone(),
            "sources": update.sources,
            "report": update.report,
        },
        indent=None,
    )
