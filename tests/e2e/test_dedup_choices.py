"""What a user says to dedup through the command line: versions, similar pictures, exceptions."""

import json
import re
import subprocess
from pathlib import Path

from PIL import ImageOps

from tests.support.command_line import Call
from tests.support.dedup_stores import scene

TIERS = ("--tiers", "bytes,pixels,edited,text-same,text-near")


def test_edited_versions_are_planned_only_on_request(
    call: Call, tmp_path: Path, stocked: Path
) -> None:
    def plan(*arguments: str) -> tuple[dict[str, str], str]:
        path = tmp_path / "plan.jsonl"
        done = call(
            *(stocked, "dedup", *TIERS, "--reference", "shop", "--plan", str(path), *arguments)
        )
        assert done.returncode == 0, done.stderr
        steps = [json.loads(line) for line in path.read_text().splitlines()]
        return {step["remove"]["key"]: step["relation"] for step in steps}, done.stderr

    exact = {"copies/same bytes.png": "exact", "copies/deep er/it's.bmp": "exact"}
    steps, said = plan()
    assert steps == exact
    assert re.search(r"2 files \(\d+ kB\) can be removed; 1 edited version is kept", said), said
    steps, said = plan("--versions")
    # The small one's text says something else.
    assert steps == {**exact, "copies/crop.png": "edited version"}
    assert "can be removed: 2 duplicates and 1 edited version; 1 more duplicate is kept" in said


def test_similar_pictures_are_shown_only_on_request(call: Call, stocked: Path) -> None:
    def families(*arguments: str) -> set[str]:
        done = call(stocked, "dedup", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return {group["family"] for group in json.loads(done.stdout)["dedup"]["groups"]}

    assert families() == {"picture", "text"}
    assert "similar" in families("--similar", "0.5")
    assert families("--tiers", "similar", "--similar", "0.5") == {"similar"}
    assert call(stocked, "dedup", "--tiers", "bytes", "--similar", "--quiet").returncode == 0
    wrong = call(stocked, "dedup", "--similar", "1.5")
    assert (wrong.returncode, "from 0 to 1" in wrong.stderr) == (2, True)


def test_what_are_not_duplicates_is_remembered_through_moves(call: Call, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    scene(1).save(shop / "a.png")
    scene(1).save(shop / "b.bmp")
    ImageOps.mirror(scene(1)).save(shop / "c.png")

    def grouped() -> list[list[str]]:
        done = call(tmp_path, "dedup", "--json", "--tiers", "bytes,pixels,edited")
        assert done.returncode == 0, done.stderr
        groups = json.loads(done.stdout)["dedup"]["groups"]
        return [
            sorted([each["kept"]["key"], *(m["item"]["key"] for m in each["others"])])
            for each in groups
        ]

    def ignore(*arguments: str) -> subprocess.CompletedProcess[str]:
        return call(tmp_path, "dedup", "ignore", *arguments)

    assert call(tmp_path, "index", "shop").returncode == 0
    planned = call(tmp_path, "dedup", "--tiers", "pixels", "--plan", "plan.jsonl")
    assert planned.returncode == 0, planned.stderr
    assert ignore("shop/a.png", str(shop / "b.bmp")).returncode == 0
    (found,) = grouped()
    assert (len(found), "shop/c.png" in found) == (2, True)
    (shop / "b.bmp").rename(shop / "moved.bmp")
    assert call(tmp_path, "index", "shop").returncode == 0
    (found,) = grouped()
    assert (len(found), "shop/c.png" in found) == (2, True)
    (shop / "moved.bmp").rename(shop / "b.bmp")
    assert call(tmp_path, "index", "shop").returncode == 0
    applied = call(tmp_path, "dedup", "apply", "plan.jsonl", "--action", "hide", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert "hid 0 files" in applied.stderr
    assert "you said that they are not duplicates" in applied.stderr
    listed = json.loads(ignore("--list", "--json").stdout)["ignored"]
    assert [item["key"] for item in listed[0]["items"]] == ["shop/a.png", "shop/b.bmp"]
    assert ignore("--undo", "shop/a.png", "shop/b.bmp").returncode == 0
    assert ignore("--undo", "shop/a.png", "shop/b.bmp").returncode == 3
    (everything,) = grouped()
    assert len(everything) == 3


def test_a_whole_group_is_ignored_by_its_id(call: Call, process: Call, stocked: Path) -> None:
    def groups() -> list[str]:
        done = call(stocked, "dedup", "--json", "--tiers", "bytes,pixels")
        return [group["id"] for group in json.loads(done.stdout)["dedup"]["groups"]]

    first, second = groups()
    assert process(stocked, "dedup", "ignore", first).returncode == 0
    assert groups() == [second]
    assert call(stocked, "dedup", "ignore", "--undo", first).returncode == 0
    assert groups() == [first, second]
    unknown = call(stocked, "dedup", "ignore", "0000000000")
    assert (unknown.returncode, "no group '0000000000'" in unknown.stderr) == (3, True)


def test_same_answers_by_exit_code(call: Call, process: Call, stocked: Path) -> None:
    same = call(stocked, "same", "shop/2.png", "copies/small.jpg", "--json")
    assert same.returncode == 0
    assert json.loads(same.stdout)["comparison"]["orientation"] == "mirrored"
    assert json.loads(same.stdout)["comparison"]["relation"] in ("same image", "edited version")
    strict = call(stocked, "same", "--strict", "shop/3.png", "copies/crop.png")
    assert (strict.returncode, strict.stdout.split(":")[0]) == (10, "edited version")
    assert (
        call(stocked, "same", "--strict", "shop/1.png", "copies/deep er/it's.bmp").returncode == 0
    )
    other = process(stocked, "same", "shop/2.png", "shop/3.png")
    assert (other.returncode, other.stdout.split(":")[0]) == (10, "different")
    assert call(stocked, "same", "shop/2.png", "shop/2.txt").returncode == 2
