"""mmsearch models add and remove: names for models of one's own, for all stores."""

from typing import Annotated

import typer

from mmsearch.cli import options
from mmsearch.cli.output.render import stderr_console
from mmsearch.errors import InputError, RecordNotFound


def add(
    name: Annotated[str, typer.Argument(help="The name to give it.", metavar="NAME")],
    path: Annotated[
        str,
        typer.Argument(
            help="A model folder, a training folder of open_clip, a CLIP folder of transformers, "
            "architecture:file, or a file of weights with --arch.",
            metavar="PATH",
        ),
    ],
    architecture: options.Architecture = None,
    quiet: options.Quiet = False,
) -> None:
    """Name a model of your own, for --model in every store.

    The model stays where it is. Its files are checked, its weights are not loaded.
    """
    from mmsearch.encoders.hub import architectures
    from mmsearch.encoders.own_models import own_models, own_models_file, save_own_models
    from mmsearch.encoders.registry import MODELS, model_files, resolve

    if not name or set(name) & set(":/\\") or name in {model.name for model in MODELS}:
        raise InputError(f"'{name}' cannot be used as a name; choose one without ':' and '/'")
    if name in architectures():
        raise InputError(f"'{name}' is an OpenCLIP architecture; choose another name")
    location = resolve(str(options.model_name(path, architecture))).name
    files = model_files(location)
    save_own_models({**own_models(), name: location})
    stderr_console(quiet=quiet).print(
        f"'{name}' is {location}, {files.config['embed_dim']:,} dimensions (in "
        f"{own_models_file()}); 'mmsearch models --check {name}' tries it out",
        markup=False,
        soft_wrap=True,
    )


def remove(
    name: Annotated[str, typer.Argument(help="The name.", metavar="NAME")],
    quiet: options.Quiet = False,
) -> None:
    """Forget a name that 'mmsearch models add' gave. The model's files and stores stay."""
    from mmsearch.encoders.own_models import own_models, save_own_models

    models = own_models()
    if name not in models:
        raise RecordNotFound(f"no own model '{name}'; there are: {', '.join(models) or 'none'}")
    save_own_models({own: place for own, place in models.items() if own != name})
    stderr_console(quiet=quiet).print(f"forgot '{name}'", markup=False)
