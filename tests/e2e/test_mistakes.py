"""Mistakes of a first hour are answered with the way out, before anything is changed."""

import re
from pathlib import Path

import pytest

from tests.support.command_line import environment_of, run_here
from tests.support.mistakes import MISTAKES, SOURCES, Mistake, lay_out

# Words of the libraries below, which mean nothing to a user.
FOREIGN = re.compile(
    r"pydantic|value error|should match pattern|extra inputs|validation error|huggingface|"
    r"lance error|datafusion|libtiff|traceback|unexpected",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def environment(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    configuration = tmp_path_factory.mktemp("configuration")
    return environment_of(tiny_model, COLUMNS="100", XDG_CONFIG_HOME=str(configuration))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    lay_out(folder)
    done = run_here(folder, environment, "index", *SOURCES)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_answered_with_the_way_out(
    shop: Path, environment: dict[str, str], mistake: Mistake
) -> None:
    before = sorted(path.relative_to(shop) for path in shop.rglob("*") if path.name != "lock")
    done = run_here(shop, environment, *mistake.arguments)
    message = " ".join(re.sub("[│╭╮╰╯─]", " ", done.stderr).split())
    assert done.returncode == mistake.code, message
    assert mistake.says in message
    assert done.stdout == ""
    assert not FOREIGN.search(message), message
    after = sorted(path.relative_to(shop) for path in shop.rglob("*") if path.name != "lock")
    assert after == before


def test_there_are_at_least_twenty() -> None:
    assert len({mistake.arguments for mistake in MISTAKES}) >= 20
