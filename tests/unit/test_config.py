"""Settings: where they come from, in which order, and all faults at once."""

from pathlib import Path

import pytest

from mmsearch.config import find_upwards, read_settings
from mmsearch.errors import ConfigError


def test_flags_beat_the_environment_beats_the_file_beats_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mmsearch.toml").write_text('batch_size = 7\ndevice = "cpu"\nimage_weight = 0.2\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMSEARCH_BATCH_SIZE", "8")
    monkeypatch.setenv("MMSEARCH_IMAGE_WEIGHT", "0.3")
    settings = read_settings(image_weight=0.4, device=None)
    assert (settings.image_weight, settings.batch_size, settings.device) == (0.4, 8, "cpu")
    assert settings.max_pixels == 178_956_970


def test_the_file_is_found_from_a_folder_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mmsearch.toml").write_text("batch_size = 9\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert read_settings().batch_size == 9


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [
        ("2GB", 2 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        ("512MiB", 2**29),
        ("300k", 300_000),
        ("2Gi", 2 * 2**30),
        ("4096", 4096),
        (4096, 4096),
        ("auto", 0),
    ],
)
def test_the_memory_of_an_index_is_given_as_people_write_it(size: object, bytes_: int) -> None:
    assert read_settings(memory=size).memory == bytes_


def test_bounds_of_files_take_a_unit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mmsearch.toml").write_text('max_image_bytes = "1.5 GiB"\nmax_text_bytes = 4096\n')
    monkeypatch.chdir(tmp_path)
    settings = read_settings()
    assert (settings.max_image_bytes, settings.max_text_bytes) == (3 * 2**29, 4096)
    with pytest.raises(ConfigError, match=r"max_text_bytes must be a number with a unit.*'lots'"):
        read_settings(max_text_bytes="lots")
    with pytest.raises(ConfigError, match="max_text_bytes must be at least 1, got '0'"):
        read_settings(max_text_bytes="0")


@pytest.mark.parametrize("size", ["lots", "GB", "-1GB", "0", "2 apples"])
def test_a_size_that_cannot_be_read_says_how_one_looks(size: str) -> None:
    with pytest.raises(ConfigError, match="such as 2GB"):
        read_settings(memory=size)


def test_all_faults_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mmsearch.toml").write_text('batch_sise = 3\nimage_weight = 2\nindex = "tree"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        read_settings(workers=0)
    for part in ("batch_sise", "image_weight", "index", "workers"):
        assert part in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mmsearch.toml").write_text("batch_size = = 3\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"mmsearch\.toml"):
        read_settings()


def test_nothing_upwards_is_none(tmp_path: Path) -> None:
    assert find_upwards("no-such-name-anywhere.toml", tmp_path) is None


def test_sources_have_settings_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mmsearch.toml"
    file.write_text('[sources.shop]\ncolumns = ["price=text"]\n')
    assert read_settings().sources["shop"].columns == ("price=text",)
    file.write_text('[sources.shop]\ncolunms = ["price=text"]\n')
    with pytest.raises(ConfigError, match=r"'sources.shop.colunms'; did you mean 'columns'"):
        read_settings()
