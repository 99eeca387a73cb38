"""mmsearch dedup: duplicates of pictures and texts in the store, tier by tier, with evidence."""

from pathlib import Path
from typing import Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.dedup_csv import groups_csv
from mmsearch.cli.dedup_planning import write_plan_of
from mmsearch.cli.dedup_report import show
from mmsearch.cli.dedup_similar import similar_cosine
from mmsearch.cli.progress import ProgressDisplay
from mmsearch.cli.render import stderr_console, to_json, write_text


def dedup(
    context: typer.Context,
    tiers: Annotated[
        str | None,
        typer.Option(
            help="Which to look for, separated by commas: bytes, pixels, edited, similar, "
            "text-same, text-near. Default: all but similar.",
            show_default=False,
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Only rows that match, in SQL, as in search.")
    ] = None,
    across: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Only groups that span these two sources.", metavar="SOURCE SOURCE"),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(help="A folder whose items always stay; repeatable.", metavar="DIR"),
    ] = None,
    within_folder: Annotated[
        bool, typer.Option("--within-folder", help="Only pairs that lie in one folder.")
    ] = False,
    keep: Annotated[
        str,
        typer.Option(
            help="What stays, by rules in order: original, largest, smallest, sharpest, "
            "oldest, newest, metadata:complete, path:GLOB."
        ),
    ] = "original,largest,sharpest,oldest",
    edited: Annotated[
        float | None,
        typer.Option(help="Agreement from which a picture is an edited copy.", min=0, max=1),
    ] = None,
    similar: Annotated[
        str | None,
        typer.Option(
            help="Also show similar pictures, from this cosine on if one is given.",
            metavar="[COSINE]",
        ),
    ] = None,
    fpr: Annotated[
        float | None,
        typer.Option(
            help="Calibrate the thresholds on this catalog, for this share of false positives "
            "among nearest neighbours (0.001, say); kept for later runs.",
            min=1e-6,
            max=0.5,
        ),
    ] = None,
    suspicions: Annotated[
        bool,
        typer.Option(
            "--suspicions",
            help="List texts that are possibly on the wrong picture as well, each with the "
            "estimated chance.",
        ),
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a line per item.")] = False,
    plan: Annotated[
        Path | None,
        typer.Option(help="Write which copies could go, for 'dedup apply'.", metavar="FILE"),
    ] = None,
    versions: Annotated[
        bool,
        typer.Option("--versions", help="Plan edited versions too, such as crops and captions."),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="Write a page that shows the groups side by side.", metavar="FILE"
        ),
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="Print every group, not only the largest.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Find duplicates: exact copies, the same image saved anew, edited versions, equal texts.

    Changes nothing: 'dedup apply' acts on a plan that --plan writes.
    """
    if context.invoked_subcommand is not None:
        return
    from mmsearch.catalog import open_catalog
    from mmsearch.dedup.find import find_duplicates
    from mmsearch.dedup.last_groups import save_groups
    from mmsearch.dedup.options import DedupOptions, parse_tiers
    from mmsearch.dedup.summary import summarised
    from mmsearch.media import MediaBounds

    cosine = similar_cosine(similar)
    chosen_tiers = parse_tiers(tiers)
    if similar is not None and "similar" not in chosen_tiers:
        chosen_tiers = parse_tiers(",".join([*chosen_tiers, "similar"]))
    catalog = open_catalog(store)
    chosen = DedupOptions(
        tiers=chosen_tiers,
        where=where,
        across=across,
        references=tuple(reference or ()),
        within_folder=within_folder,
        keep=keep,
        edited=edited,
        similar=cosine,
        fpr=fpr,
        versions=versions,
        suspicions=suspicions,
    )
    with ProgressDisplay(quiet=quiet) as progress:
        bounds = MediaBounds.of(catalog.settings)
        report = find_duplicates(catalog.folder, chosen, bounds, progress)
    save_groups(catalog.folder, report.groups)
    notes = stderr_console(quiet=quiet)
    if plan is not None:
        planned = write_plan_of(report, catalog.folder, plan, versions=chosen.versions)
        notes.print(planned, markup=False, soft_wrap=True)
    if html is not None:
        from mmsearch.dedup.page import write_dedup_page

        write_dedup_page(report, html, store=catalog.root)
        notes.print(f"wrote {html}", markup=False, soft_wrap=True)
    if as_json:
        write_text(to_json({"dedup": report, "summary": summarised(report.groups)}))
    elif as_csv:
        write_text(groups_csv(report))
    else:
        show(report, everything=show_all, quiet=quiet)
