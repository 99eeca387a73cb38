"""The options of mmsearch finetune."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmsearch.cli.completion import complete_models
from mmsearch.cli.options import OUTPUT

_TRAINING, _DATA = "Training", "Data"

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Folders or tables, as for 'mmsearch index'. Default: every source in the store.",
        metavar="SOURCE",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Model folder to write. Default: SOURCE-model.", metavar="DIR"),
]
Method = Annotated[
    Literal["auto", "head", "lora", "last-n", "full"],
    typer.Option(
        help="What to train: head (the projections; minutes on a CPU), lora (low-rank adapters, "
        "merged at the end), last-n (the last blocks), full (everything), or auto: head on a CPU, "
        "lora on a GPU.",
        metavar="METHOD",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be trained and for how long; write nothing."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Resume the run that was interrupted in --out.")
]
Promote = Annotated[
    bool,
    typer.Option(
        "--promote",
        help="Re-embed the store with the new model and switch to it, unless it is worse.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="With --promote, switch even to a worse model.", rich_help_panel=_TRAINING
    ),
]
StartModel = Annotated[
    str | None,
    typer.Option(
        help="Initial model, as for 'mmsearch index'. Default: the store's model, or builtin.",
        metavar="NAME",
        autocompletion=complete_models,
        rich_help_panel=_TRAINING,
    ),
]
Epochs = Annotated[
    float | None,
    typer.Option(
        help="Passes over the training data. Default: by method.",
        metavar="N",
        rich_help_panel=_TRAINING,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Global batch size, over all processes. Default: by method and data.",
        metavar="N",
        rich_help_panel=_TRAINING,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="Peak learning rate. Default: by method.", metavar="RATE", rich_help_panel=_TRAINING
    ),
]
Loss = Annotated[
    Literal["infonce", "sigmoid"],
    typer.Option(
        help="Contrastive loss: infonce as in CLIP, sigmoid as in SigLIP.",
        metavar="infonce|sigmoid",
        rich_help_panel=_TRAINING,
    ),
]
Lock = Annotated[
    Literal["none", "image", "text"],
    typer.Option(help="Tower to freeze.", metavar="none|image|text", rich_help_panel=_TRAINING),
]
Fusion = Annotated[
    Literal["none", "auto", "late", "early", "attention"],
    typer.Option(
        help="Fusion of image and text to train: none, auto, late, early or attention.",
        metavar="FUSION",
        rich_help_panel=_TRAINING,
    ),
]
Teacher = Annotated[
    str | None,
    typer.Option(
        help="Model to distil from. Default: none.", metavar="NAME", rich_help_panel=_TRAINING
    ),
]
HardNegatives = Annotated[
    int | None,
    typer.Option(
        help="Hard negatives added per item, re-mined every epoch. Default: 0.",
        metavar="N",
        rich_help_panel=_TRAINING,
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        help="Number of hyperparameter trials to run first. Default: 0.",
        metavar="N",
        rich_help_panel=_TRAINING,
    ),
]
Seed = Annotated[int, typer.Option(help="Random seed.", metavar="N", rich_help_panel=_TRAINING)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting of docs/finetune.md, such as rank=16; repeatable.",
        metavar="NAME=VALUE",
        rich_help_panel=_TRAINING,
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        help="Column of class names; 'folder' takes the name of each image's folder.",
        metavar="COLUMN",
        rich_help_panel=_DATA,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        help="Column of products: their images stay in one split and are relevant to each other.",
        metavar="COLUMN",
        rich_help_panel=_DATA,
    ),
]
Texts = Annotated[
    str | None,
    typer.Option(
        help="Columns that are each a text of their own, separated by commas.",
        metavar="COLUMNS",
        rich_help_panel=_DATA,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Shares of train:val:test. Default: 70:20:10.",
        metavar="A:B:C",
        rich_help_panel=_DATA,
    ),
]
SplitColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that says train, val or test.", metavar="COLUMN", rich_help_panel=_DATA
    ),
]
Tensorboard = Annotated[
    bool,
    typer.Option(
        "--tensorboard", help="Log curves to OUT/work/tensorboard.", rich_help_panel=OUTPUT
    ),
]
