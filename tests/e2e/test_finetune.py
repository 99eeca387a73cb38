"""`mmsearch finetune` as a user runs it: on a table of drawings, with a tiny model as the start."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from typer.testing import CliRunner

from mmsearch.cli.app import app
from mmsearch.errors import ConfigError, InputError, MMSearchError
from mmsearch.finetuning.options import FinetuneOptions
from mmsearch.finetuning.run import finetune, plan
from mmsearch.sources import Source, SourceOptions, open_source
from mmsearch.training.weight_interpolation import ALPHAS, MAX_EVALUATIONS, REFINEMENT
from tests.support.command_line import Call, run_here, run_process

COLOURS = ("red", "green", "blue", "yellow", "black", "orange", "purple", "pink")
SHAPES = ("square", "circle", "stripe", "corner")
STEPS = (
    *("--set", "steps=40", "--set", "validate_every=8", "--set", "checkpoint_every=4"),
    *("--set", "rehearsed=300"),
)
WEIGHTS = "open_clip_model.safetensors"


def draw(colour: str, shape: str, shift: int) -> Image.Image:
    image = Image.new("RGB", (72, 72), "white")
    pen = ImageDraw.Draw(image)
    box = (10 + 6 * shift, 10, 60, 60 - 6 * shift)
    if shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "stripe":
        pen.rectangle((0, 30 - 8 * shift, 72, 42), fill=colour)
    else:
        pen.polygon(((0, 0), (72 - 9 * shift, 0), (0, 72)), fill=colour)
    return image


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 images with titles and colours."""
    folder = tmp_path_factory.mktemp("shop") / "catalog"
    (folder / "images").mkdir(parents=True)
    with (folder / "products.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "title", "colour", "image"])
        for colour in COLOURS:
            for shape in SHAPES:
                for shift in (0, 1):
                    name = f"images/{colour}-{shape}-{shift}.png"
                    draw(colour, shape, shift).save(folder / name)
                    title = f"a {colour} {shape}"
                    table.writerow([f"{colour}-{shape}-{shift}", title, colour, name])
    return folder


def command(*arguments: object, torchrun: bool = False) -> list[str]:
    start = [sys.executable]
    if torchrun:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return [*start, "-m", "mmsearch", "finetune", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(*arguments: object, torchrun: bool = False) -> subprocess.CompletedProcess[str]:
    whole = command(*arguments, torchrun=torchrun)
    return subprocess.run(whole, capture_output=True, text=True, check=False, env=environment())


def run_quickly(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same in this process, which has imported torch already."""
    return run_here(Path.cwd(), environment(), "finetune", *map(str, arguments))


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def straight(
    catalog: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("straight") / "tuned"
    done = run(
        *(catalog, "--model", tiny_model, "--classes", "colour", "--out", out),
        *("--method", "head", *STEPS, "--json"),
    )
    assert done.returncode == 0, done.stderr
    return out, done


def test_it_writes_a_model_and_how_it_came_about(
    straight: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = straight
    document = json.loads(done.stdout)["finetune"]
    assert document["method"] == "head"
    assert document["split"]["train"] > document["split"]["val"] > document["split"]["test"] > 0
    assert document["counts"]["classes"] == len(COLOURS)
    points = document["sweep"]["points"]
    assert set(ALPHAS) < {point["alpha"] for point in points}
    assert len(points) in (len(ALPHAS) + REFINEMENT, MAX_EVALUATIONS)
    chosen = next(point for point in points if point["alpha"] == document["alpha"])
    assert chosen["score"]["in_domain"] >= points[0]["score"]["in_domain"]
    assert chosen["score"]["general"] >= 0.99 * points[0]["score"]["general"] - 1e-9
    assert {each["part"] for each in document["test"]} >= {"text-to-image", "zero-shot"}
    names = {file.name for file in out.iterdir()}
    assert {WEIGHTS, "README.md", "report.html", "outcome.json", "metrics.jsonl"} <= names
    assert "mmsearch models --promote" in done.stderr
    assert re.search(r"kept \d+% of what was learned: your catalog|no improvement:", done.stderr)


def test_the_loss_falls(straight: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    losses = [each["loss"] for each in metrics(straight[0]) if each["stage"] == "train"]
    assert sum(losses[-4:]) < sum(losses[:4])


def test_open_clip_loads_the_folder(
    straight: tuple[Path, subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{straight[0]}")
    with torch.inference_mode():
        vector = model.eval().encode_image(preprocess(draw("red", "circle", 0))[None])
    assert vector.shape == (1, 24)
    assert vector.isfinite().all()


def kill_at(arguments: list[object], out: Path, stage: str, steps: int) -> None:
    """Kills a run once it has logged so many steps of a stage, before it has written its model."""
    with subprocess.Popen(command(*arguments), env=environment()) as process:
        metrics = out / "metrics.jsonl"
        while process.poll() is None and (
            not metrics.exists() or metrics.read_text().count(f'"{stage}"') < steps
        ):
            time.sleep(0.02)
        process.kill()
    assert not (out / WEIGHTS).exists()


def resume_to(arguments: list[object], out: Path, undisturbed: Path) -> None:
    """Resumes, and asserts that the weights are those of the run that nothing disturbed."""
    resumed = run_quickly(*arguments, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    ours, theirs = (load_file(folder / WEIGHTS) for folder in (out, undisturbed))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_killed_run_resumes_to_the_same_weights(
    catalog: Path,
    tiny_model: Path,
    straight: tuple[Path, subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    out = tmp_path / "tuned"
    arguments = [
        *(catalog, "--model", tiny_model, "--classes", "colour", "--out", out),
        *("--method", "head", *STEPS, "--quiet"),
    ]
    kill_at(arguments, out, "train", 10)
    assert any((out / "work" / "checkpoints").glob("step-*"))
    resume_to(arguments, out, straight[0])


DEEP = (
    *("--method", "last-n", "--set", "blocks=1", "--set", "steps=12", "--set", "refit_epochs=16"),
    *("--set", "views=1", "--set", "patience=0", "--set", "runs=2", "--set", "rehearsed=300"),
)
REFITS = ("refit", *(f"refit-{turn}" for turn in range(2, 4)))
DEEP_STAGES = ("train", "train-2", *REFITS)


@pytest.fixture(scope="module")
def deep(
    catalog: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Towers first, twice, then the projections once more, three times."""
    out = tmp_path_factory.mktemp("deep") / "tuned"
    done = run_quickly(
        *(catalog, "--model", tiny_model, "--classes", "colour", "--out", out), *DEEP
    )
    assert done.returncode == 0, done.stderr
    return out, done


def test_projections_are_refitted_on_trained_towers(
    deep: tuple[Path, subprocess.CompletedProcess[str]], tiny_model: Path
) -> None:
    out, done = deep
    assert "retraining the projections" in done.stderr
    lines = metrics(out)
    stages = [line["stage"] for line in lines]
    counts = {stage: stages.count(stage) for stage in DEEP_STAGES}
    assert counts["train"] == counts["train-2"] == 12
    assert len({counts[stage] for stage in REFITS}) == 1
    assert counts["refit"] > 4
    losses = [tuple(line["loss"] for line in lines if line["stage"] == stage) for stage in counts]
    assert len(set(losses)) == len(DEEP_STAGES)
    named = [[line["titles"] for line in lines if line["stage"] == stage] for stage in REFITS]
    third = counts["refit"] // 3
    assert sum(sum(each[-third:]) for each in named) < sum(sum(each[:third]) for each in named)
    tuned = json.loads((out / "work" / "tuned.json").read_text())
    assert tuned["steps"] == sum(counts.values())
    # Blocks of the text tower are not trained on a CPU, so its projection is not either.
    before, after = (load_file(each / WEIGHTS)["text_projection"] for each in (tiny_model, out))
    assert torch.equal(before.to(after.dtype), after)


@pytest.mark.slow
def test_a_run_killed_while_it_refits_resumes_to_the_same_weights(
    catalog: Path,
    tiny_model: Path,
    deep: tuple[Path, subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    out = tmp_path / "tuned"
    arguments = [
        *(catalog, "--model", tiny_model, "--classes", "colour", "--out", out),
        *(*DEEP, "--quiet"),
    ]
    kill_at(arguments, out, "refit-3", 5)
    assert any((out / "work" / "projections" / "run-3" / "checkpoints").glob("step-*"))
    resume_to(arguments, out, deep[0])


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(
    catalog: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """Towers, then projections, of images that are mixed two by two."""
    settings = (
        *("blocks=1", "steps=5", "batch_size=16", "refit_epochs=2", "views=1", "runs=1"),
        *("mixup=0.5", "dropout=0", "rehearsed=100", "patience=0"),
    )
    arguments = [
        *(catalog, "--model", tiny_model, "--classes", "colour", "--method", "last-n", "--quiet"),
        *(part for setting in settings for part in ("--set", setting)),
    ]
    alone = run_quickly(*arguments, "--out", tmp_path / "one")
    assert alone.returncode == 0, alone.stderr
    both = run(*arguments, "--out", tmp_path / "two", torchrun=True)
    assert both.returncode == 0, both.stderr
    ones, twos = (
        [(line["stage"], line["loss"]) for line in metrics(tmp_path / name) if "loss" in line]
        for name in ("one", "two")
    )
    assert {stage for stage, _ in ones} == {"train", *REFITS}
    assert [stage for stage, _ in ones] == [stage for stage, _ in twos]
    assert [loss for _, loss in ones] == pytest.approx([loss for _, loss in twos], rel=2e-4)


def test_a_dry_run_writes_nothing(catalog: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    named = ["--model", str(tiny_model), "--out", str(out)]
    done = CliRunner().invoke(app, ["finetune", str(catalog), *named, "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)["plan"]
    assert plan["method"] == "head"
    assert sum(plan["split"].values()) == 64
    assert plan["seconds"] > 0
    assert not out.exists()


def test_promoting_moves_the_store_to_the_new_model_and_back(
    catalog: Path, tiny_model: Path, tmp_path: Path
) -> None:
    store, out = tmp_path / "store", tmp_path / "tuned"

    def mmsearch(*arguments: object, run: Call = run_here) -> str:
        done = run(tmp_path, environment(), *map(str, arguments), "--store", str(store))
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    mmsearch("index", catalog, "--model", tiny_model, "--quiet")
    mmsearch(
        *("finetune", catalog, "--classes", "colour", "--method", "head", *STEPS, "--quiet"),
        *("--out", out, "--promote", "--force"),
    )
    found = mmsearch("search", "a red circle", "--json", "-k", 3)
    assert json.loads(mmsearch("info", "--json"))["store"]["model"] == str(out)
    assert len(json.loads(found)["hits"]) == 3
    mmsearch("models", "--rollback", run=run_process)
    assert json.loads(mmsearch("info", "--json"))["store"]["model"] == str(tiny_model)


def test_a_split_that_parts_a_product_is_refused_or_taken_as_it_is(
    catalog: Path, tiny_model: Path, tmp_path: Path
) -> None:
    rows = list(csv.DictReader((catalog / "products.csv").open(encoding="utf-8")))
    table = tmp_path / "shop.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "colour", "image", "part"])
        for at, row in enumerate(rows):
            part = ("train", "train", "train", "val", "test")[at % 5]
            path = catalog / row["image"]
            writer.writerow([row["id"], row["title"], row["colour"], path, part])
    error = refused(table, tmp_path / "out", tiny_model, split_column="part", group="colour")
    assert "`split_column` splits 8 groups" in str(error)
    assert "`allow_straddling=True`" in str(error)
    options = FinetuneOptions.of(
        model=str(tiny_model),
        out=tmp_path / "plan",
        split_column="part",
        group="colour",
        allow_straddling=True,
    )
    planned = plan(source(table), options)
    assert planned.split == {"train": 39, "val": 13, "test": 12}
    with pytest.warns(DeprecationWarning, match=r"counts\['pictures'\]"):
        assert planned.counts["pictures"] == planned.counts["images"]


# --- bad input: one line each ---


def source(folder: Path) -> list[Source]:
    return [open_source(folder, name="shop", options=SourceOptions())]


def refused(folder: Path, out: Path, model: Path, **options: object) -> MMSearchError:
    wanted = FinetuneOptions.of(model=str(model), out=out, **options)
    with pytest.raises(MMSearchError) as caught:
        finetune(source(folder), wanted)
    assert "\n" not in str(caught.value)
    return caught.value


def test_fewer_items_than_a_batch(catalog: Path, tiny_model: Path, tmp_path: Path) -> None:
    error = refused(catalog, tmp_path / "out", tiny_model, batch_size=500)
    assert isinstance(error, InputError)
    assert "fewer than a batch of 500" in str(error)
    assert not (tmp_path / "out").exists()


def test_a_refused_run_leaves_an_empty_folder_as_it_was(
    catalog: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    refused(catalog, tmp_path / "out", tiny_model, batch_size=500)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_column_that_is_not_there(catalog: Path, tiny_model: Path, tmp_path: Path) -> None:
    error = refused(catalog, tmp_path / "out", tiny_model, classes="brand")
    assert "`classes`: no item has a column 'brand'" in str(error)


def test_a_folder_that_is_taken(catalog: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    error = refused(catalog, tmp_path / "out", tiny_model)
    assert "already exists" in str(error)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "precious"


def test_nothing_to_resume(catalog: Path, tiny_model: Path, tmp_path: Path) -> None:
    error = refused(catalog, tmp_path / "out", tiny_model, resume=True)
    assert "has no fine-tuning to resume" in str(error)


def test_resuming_with_other_settings(
    catalog: Path,
    tiny_model: Path,
    straight: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    error = refused(catalog, straight[0], tiny_model, classes="colour", resume=True)
    assert isinstance(error, ConfigError)
    assert "steps was 40, is None" in str(error)


def test_images_without_words(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for colour in COLOURS:
        for shape in SHAPES:
            draw(colour, shape, 0).save(tmp_path / "bare" / f"{colour}-{shape}.png")
    error = refused(tmp_path / "bare", tmp_path / "out", tiny_model)
    assert "no image has a text" in str(error)


def test_pictures_that_all_have_one_text(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "same").mkdir()
    for colour in COLOURS:
        for shape in SHAPES:
            draw(colour, shape, 0).save(tmp_path / "same" / f"{colour}-{shape}.png")
            (tmp_path / "same" / f"{colour}-{shape}.txt").write_text("product photo")
    error = refused(tmp_path / "same", tmp_path / "out", tiny_model)
    assert "all images have the same text, 'product photo'" in str(error)
    assert not (tmp_path / "out").exists()
