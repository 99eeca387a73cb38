"""Names of models: what they stand for, what is said where they stand for nothing or are absent."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest

from mmsearch.encoders.model_zoo import MODELS
from mmsearch.encoders.registry import BUILTIN_FOLDER, ModelRef, load_encoder, resolve
from mmsearch.errors import InputError, MissingModel

ALIASES = {model.name: model for model in MODELS if model.location}


def test_the_aliases_are_models_of_open_clip() -> None:
    assert set(ALIASES) == {"small", "base", "large", "multilingual"}
    for model in ALIASES.values():
        config = open_clip.get_model_config(model.architecture)
        hubs = [
            open_clip.get_pretrained_cfg(model.architecture, tag)["hf_hub"].rstrip("/")
            for tag in open_clip.list_pretrained_tags_by_model(model.architecture)
        ]
        assert model.location.removeprefix("hf-hub:") in hubs
        assert config["embed_dim"] == model.dim
        assert config["vision_cfg"]["image_size"] == model.image_size


def test_the_built_in_model_is_as_it_is_listed() -> None:
    config = json.loads((BUILTIN_FOLDER / "open_clip_config.json").read_text("utf-8"))["model_cfg"]
    (builtin,) = [model for model in MODELS if model.name == "builtin"]
    assert builtin.dim == config["embed_dim"]
    assert builtin.image_size == config["vision_cfg"]["image_size"]


def test_names_stand_for_models(tmp_path: Path) -> None:
    assert resolve("builtin") == ModelRef("builtin", "local", str(BUILTIN_FOLDER))
    assert resolve("base").location == ALIASES["base"].location.removeprefix("hf-hub:")
    assert resolve("hf-hub:org/model") == ModelRef("hf-hub:org/model", "hub", "org/model")
    named = "ViT-B-32:laion2b_s34b_b79k"
    assert resolve(named) == ModelRef(named, "pretrained", named)
    assert resolve(str(tmp_path)) == ModelRef(str(tmp_path), "local", str(tmp_path))


def test_a_folder_is_known_by_its_absolute_path(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    assert resolve(tiny_model.name).name == str(tiny_model)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bas", "did you mean 'base'"),
        ("ViT-B-33:openai", "'ViT-B-32'"),
        ("nowhere/at/all", r"there is no model 'nowhere/at/all'.*folders"),
        ("", "there is no model ''"),
        ("ViT-B-32", "is an architecture; name its weights too"),
        ("hf-hub:model", "named 'hf-hub:org/model'"),
        ("hf-hub:/", "named 'hf-hub:org/model'"),
        (__file__, "is a file of weights alone; name its architecture too"),
        ("ViT-B-32:nowhere/weights.pt", "there is no file .*nowhere/weights.pt"),
    ],
)
def test_names_that_stand_for_nothing_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(name)


def test_weights_that_open_clip_does_not_know_are_refused() -> None:
    with pytest.raises(InputError, match=r"no weights 'nope' for ViT-B-32; it has openai,"):
        load_encoder("ViT-B-32:nope", device="cpu")


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("base", "models--timm--ViT-B-16-SigLIP-256"),
        ("hf-hub:org/model", "models--org--model"),
        ("ViT-B-32:laion2b_s34b_b79k", "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K"),
    ],
)
def test_a_model_that_is_absent_offline_says_where_it_belongs(
    tmp_path: Path, name: str, repo: str
) -> None:
    outcome = load_offline(name, cache=tmp_path)
    assert outcome.stdout.startswith("MissingModel")
    assert f"run `mmsearch.load_model('{name}')` with a network" in outcome.stdout
    assert str(tmp_path / "hub" / repo) in outcome.stdout


def test_a_cached_model_loads_offline(tiny_model: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--laion--CLIP-ViT-B-32-256x256-DataComp-s34B-b86K"
    shutil.copytree(tiny_model, snapshot / "snapshots" / "abc")
    (snapshot / "refs").mkdir()
    (snapshot / "refs" / "main").write_text("abc", encoding="utf-8")
    assert load_offline("small", cache=tmp_path).stdout == "small 24 True\n"


def load_offline(name: str, *, cache: Path) -> subprocess.CompletedProcess[str]:
    """In its own process, since the cache's place is read once; a connection would be an error."""
    script = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a network call')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from mmsearch.encoders.registry import MODELS, is_here, load_encoder\n"
        "from mmsearch.errors import MissingModel\n"
        "name = sys.argv[1]\n"
        "try:\n"
        "    space = load_encoder(name, device='cpu').space\n"
        "    known = [is_here(model) for model in MODELS if model.name == name]\n"
        "    print(space.model, space.dim, *known)\n"
        "except MissingModel as error:\n"
        "    print('MissingModel', error)\n"
    )
    environment = {**os.environ, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    environment.pop("HF_HUB_CACHE", None)
    return subprocess.run(
        [sys.executable, "-c", script, name],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )


def test_a_broken_installation_is_said(tmp_path: Path) -> None:
    """The package without its weights, as an incomplete wheel would leave it."""
    package = tmp_path / "mmsearch"
    without_model = shutil.ignore_patterns("open_clip_*")
    shutil.copytree(BUILTIN_FOLDER.parents[1], package, ignore=without_model)
    script = "from mmsearch.encoders.registry import load_text_encoder as f; f('builtin')"
    outcome = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    message = f"{MissingModel.__name__}: the built-in model is missing from {package}"
    assert message in outcome.stderr
