"""mmsearch dedup: finds duplicate images and texts in the store, with evidence for each."""

import typer

from mmsearch.cli import options
from mmsearch.cli.dedup import options as dedup_options
from mmsearch.cli.dedup.groups_csv import groups_csv
from mmsearch.cli.dedup.planning import write_plan_of
from mmsearch.cli.dedup.report import show
from mmsearch.cli.dedup.similar import similar_cosine
from mmsearch.cli.output.opened_store import open_store
from mmsearch.cli.output.progress import ProgressDisplay
from mmsearch.cli.output.render import stderr_console, to_json, write_text


def dedup(
    context: typer.Context,
    *,
    plan: dedup_options.Plan = None,
    keep: dedup_options.Keep = "original,largest,sharpest,oldest",
    versions: dedup_options.Versions = False,
    html: dedup_options.Html = None,
    show_all: dedup_options.ShowAll = False,
    tiers: dedup_options.Tiers = None,
    similar: dedup_options.Similar = None,
    edited: dedup_options.Edited = None,
    fpr: dedup_options.Fpr = None,
    suspicions: dedup_options.Suspicions = False,
    where: dedup_options.Where = None,
    across: dedup_options.Across = None,
    reference: dedup_options.Reference = None,
    within_folder: dedup_options.WithinFolder = False,
    store: options.Store = None,
    as_csv: dedup_options.AsCsv = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Find duplicates: exact matches, resaved images, edited versions and equal texts.

    Nothing is changed. 'mmsearch dedup apply' carries out a plan that --plan has written.
    """
    if context.invoked_subcommand is not None:
        return
    from mmsearch.dedup.find import find_duplicates
    from mmsearch.dedup.last_groups import save_groups
    from mmsearch.dedup.options import DedupOptions, parse_tiers
    from mmsearch.dedup.summary import summarised
    from mmsearch.media import MediaBounds

    cosine = similar_cosine(similar)
    chosen_tiers = parse_tiers(tiers)
    if similar is not None and "similar" not in chosen_tiers:
        chosen_tiers = parse_tiers(",".join([*chosen_tiers, "similar"]))
    catalog = open_store(store, quiet=quiet)
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
