"""mmsearch models: lists encoders, tries one out, and moves a store to another one."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mmsearch.cli import options
from mmsearch.cli.models.tables import models_table
from mmsearch.cli.output.render import stderr_console, stdout_console, to_json, write_text
from mmsearch.encoders.model_zoo import MODELS
from mmsearch.errors import InputError


def models(
    context: typer.Context,
    *,
    check: Annotated[
        str | None,
        typer.Option(
            "--check", metavar="NAME", help="Load a model (downloaded if needed) and try it out."
        ),
    ] = None,
    promote: Annotated[
        str | None,
        typer.Option(
            "--promote",
            metavar="MODEL",
            help="Re-embed the store with this model, verify the result and switch to it. "
            "Searches go on meanwhile.",
        ),
    ] = None,
    rollback: Annotated[
        bool,
        typer.Option("--rollback", help="Switch back to the store's previous model."),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Promote a model even if it is measurably worse."),
    ] = False,
    dry_run: options.DryRun = False,
    store: options.Store = None,
    architecture: options.Architecture = None,
    device: options.Device = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """List models with size, licence, languages and scores, or change the model of a store.

    --model also takes any OpenCLIP architecture:pretrained, architecture:file, hf-hub:org/model, or
    a model folder. 'mmsearch models add' gives a model of your own a name.
    """
    if context.invoked_subcommand is not None:
        return
    if (check is not None) + (promote is not None) + rollback > 1:
        raise InputError("--check, --promote and --rollback exclude each other; give one of them")
    if promote is not None or rollback:
        from mmsearch.cli.models.promotion import promote_model, rollback_model

        model = options.model_name(promote, architecture)
        if model is None:
            rollback_model(store=store, dry_run=dry_run, as_json=as_json, quiet=quiet)
        else:
            promote_model(
                model,
                store=store,
                device=device,
                force=force,
                dry_run=dry_run,
                as_json=as_json,
                quiet=quiet,
            )
        return
    if (model := options.model_name(check, architecture)) is not None:
        show_space(model, device or "auto", as_json=as_json, quiet=quiet)
        return
    from mmsearch.encoders.own_models import own_models
    from mmsearch.encoders.registry import is_here

    own = own_models()
    here = {model.name: is_here(model) for model in MODELS}
    if as_json:
        rows = [{**asdict(model), "on_this_machine": here[model.name]} for model in MODELS]
        write_text(to_json({"models": rows, "own": own}))
        return
    console = stdout_console()
    console.print(models_table(here, console.width))
    stderr_console(quiet=quiet).print(
        "ImageNet: zero-shot top-1 accuracy. COCO: text-to-image recall@1.", style="dim"
    )
    for name, location in own.items():
        console.print(Text(f"{name}: {location} (your own)"), soft_wrap=True)


def show_space(name: str, device: str, *, as_json: bool, quiet: bool) -> None:
    """Loads the model, encodes a text and an image, and prints the embedding space."""
    from PIL import Image

    from mmsearch.encoders.devices import choose_device
    from mmsearch.encoders.registry import load_encoder, resolve

    resolve(name)
    choice = choose_device(device)
    stderr_console(quiet=quiet).print(f"loading '{name}' on {choice.name} ({choice.reason})")
    encoder = load_encoder(name, device=device)
    encoder.encode_texts(["a photo of an apple"])
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
