"""mmsearch models: the encoders there are, a trial run of one, and which of them a store uses."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from mmsearch.cli import options
from mmsearch.cli.render import stderr_console, stdout_console, to_json, write_text
from mmsearch.encoders.model_zoo import MODELS, KnownModel
from mmsearch.errors import InputError


def models(
    check: Annotated[
        str | None,
        typer.Option("--check", metavar="NAME", help="Load a model, downloading it if need be."),
    ] = None,
    promote: Annotated[
        str | None,
        typer.Option(
            "--promote",
            metavar="MODEL",
            help="Move the store to this model: everything is embedded anew beside what is "
            "searched now, checked, and swapped in.",
        ),
    ] = None,
    rollback: Annotated[
        bool,
        typer.Option("--rollback", help="Go back to the store's model before, or forward again."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Promote even what its own measurements call a regression."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    store: options.Store = None,
    device: options.Device = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """List the models that --model takes, with size, licence, languages and published scores.

    --promote moves a store to another model, --rollback back; searches go on meanwhile.
    """
    if (check is not None) + (promote is not None) + rollback > 1:
        raise InputError("--check, --promote and --rollback are different things; give one")
    if promote is not None or rollback:
        from mmsearch.cli.promotion import promote_model, rollback_model

        if promote is None:
            rollback_model(store=store, dry_run=dry_run, as_json=as_json, quiet=quiet)
        else:
            promote_model(
                promote,
                store=store,
                device=device,
                force=force,
                dry_run=dry_run,
                as_json=as_json,
                quiet=quiet,
            )
        return
    if check is not None:
        show_space(check, device or "auto", as_json=as_json, quiet=quiet)
        return
    from mmsearch.encoders.registry import is_here

    here = {model.name: is_here(model) for model in MODELS}
    if as_json:
        rows = [{**asdict(model), "on_this_machine": here[model.name]} for model in MODELS]
        write_text(to_json({"models": rows}))
        return
    stdout_console().print(models_table(here))
    stderr_console(quiet=quiet).print(
        "ImageNet: zero-shot top-1. COCO: text to image, recall@1. --model also takes any OpenCLIP "
        "architecture:tag, hf-hub:org/model, or a folder.",
        style="dim",
    )


def models_table(here: dict[str, bool]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in ("name", "download", "dim", "licence", "languages", "ImageNet", "COCO", "here"):
        right = name in ("download", "dim", "ImageNet", "COCO")
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    for model in MODELS:
        table.add_row(*_cells(model, here[model.name]))
    return table


def show_space(name: str, device: str, *, as_json: bool, quiet: bool) -> None:
    """Loads the model, encodes a text and a picture, and prints the space they lie in."""
    from PIL import Image

    from mmsearch.encoders.devices import choose_device
    from mmsearch.encoders.registry import load_encoder

    choice = choose_device(device)
    stderr_console(quiet=quiet).print(f"loading '{name}' on {choice.name} ({choice.reason})")
    encoder = load_encoder(name, device=device)
    encoder.encode_texts(["a picture of an apple"])
    encoder.encode_images([Image.new("RGB", (64, 48), "red")])
    if as_json:
        document = {"space": encoder.space, "preprocessing": encoder.preprocessing}
        write_text(to_json({**document, "device": choice}))
        return
    table = Table.grid(padding=(0, 2))
    facts = {**asdict(encoder.space), **asdict(encoder.preprocessing), "device": choice.name}
    for fact, value in facts.items():
        table.add_row(fact, str(value))
    stdout_console().print(table)


def _cells(model: KnownModel, here: bool) -> list[str]:
    return [
        model.name,
        f"{model.download_mb:,} MB" if model.download_mb else "included",
        str(model.dim),
        model.licence,
        model.languages,
        _score(model.imagenet_top1),
        _score(model.coco_recall_at_1),
        "yes" if here else "no",
        model.architecture,
    ]


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
