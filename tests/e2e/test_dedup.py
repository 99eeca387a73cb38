"""Deduplication of a real store through the command line: tiers, findings, exit codes."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageOps

import mmsearch
from mmsearch.dedup.items import CACHE_NAME, RECORD
from tests.support.command_line import TIMEOUT_SECONDS, Call, environment_of
from tests.support.dedup_stores import scene


def pictures(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """By the duplicate's key: its tier and the key of what is kept."""
    return {
        member["item"]["key"]: (member["tier"], group["kept"]["key"])
        for group in document["dedup"]["groups"]
        if group["family"] == "picture"
        for member in group["others"]
    }


TIERS = ("--tiers", "bytes,pixels,edited,text-same,text-near")


def test_every_tier_is_found_with_what_is_kept(call: Call, stocked: Path) -> None:
    done = call(stocked, "dedup", *TIERS, "--json", "--reference", "shop")
    assert done.returncode == 0, done.stderr
    assert pictures(json.loads(done.stdout)) == {
        "copies/same bytes.png": ("bytes", "shop/0.png"),
        "copies/deep er/it's.bmp": ("pixels", "shop/1.png"),
        "copies/small.jpg": ("edited", "shop/2.png"),
        "copies/crop.png": ("edited", "shop/3.png"),
    }


def test_findings_join_pictures_and_texts(call: Call, stocked: Path) -> None:
    document = json.loads(call(stocked, "dedup", *TIERS, "--json").stdout)
    found = {(each["kind"], *sorted(each["keys"])) for each in document["dedup"]["findings"]}
    assert ("same product twice", "copies/crop.png", "shop/3.png") in found
    assert ("same picture, different text", "copies/small.jpg", "shop/2.png") in found


def test_a_second_run_gives_the_same_answer(call: Call, stocked: Path) -> None:
    once, again = (call(stocked, "dedup", "--csv", "--quiet").stdout for _ in range(2))
    assert once == again
    rows = list(csv.DictReader(io.StringIO(once)))
    assert {row["role"] for row in rows} == {"kept", "duplicate"}


def test_tiers_sources_folders_and_filters_narrow_the_search(call: Call, stocked: Path) -> None:
    def keys(*arguments: str) -> set[str]:
        done = call(stocked, "dedup", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return set(pictures(json.loads(done.stdout)))

    assert keys("--tiers", "bytes", "--reference", "shop") == {"copies/same bytes.png"}
    assert keys("--tiers", "bytes", "--within-folder") == set()
    assert keys("--tiers", "bytes", "--across", "shop", "copies", "--keep", "path:*shop*") == {
        "copies/same bytes.png"
    }
    assert keys("--tiers", "bytes,edited", "--where", "source = 'shop'") == set()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--tiers", "byte"), 2, "no tier 'byte'; did you mean 'bytes'?"),
        (("--keep", "best"), 2, "no rule 'best'"),
        (("--across", "shop", "nowhere"), 3, "no source 'nowhere'; there are: copies, shop"),
        (("--where", "prize > 3"), 2, "prize"),
    ],
)
def test_wrong_arguments_are_told(
    call: Call, stocked: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = call(stocked, "dedup", *arguments)
    assert done.returncode == code
    assert message in " ".join(done.stderr.split())


def test_a_plan_is_applied_and_undone_and_hidden_items_are_not_found(
    call: Call, process: Call, tmp_path: Path, stocked: Path
) -> None:
    shutil.copytree(stocked, tmp_path / "all")
    folder = tmp_path / "all"
    # The copied store knows the pictures where they were: index them where they are now.
    assert call(folder, "index", "shop", "copies", "--store", "own").returncode == 0
    own = ("--store", "own")
    tiers = ("--tiers", "bytes,pixels", "--reference", "shop")
    assert call(folder, "dedup", *tiers, "--plan", "plan.jsonl", *own).returncode == 0
    assert len((folder / "plan.jsonl").read_text().splitlines()) == 2

    def keys() -> set[str]:
        return {hit.key for hit in mmsearch.open(folder / "own").search(like="shop/0.png", k=50)}

    everything = keys()
    hidden = {"copies/same bytes.png", "copies/deep er/it's.bmp"}
    assert hidden < everything
    unasked = call(folder, "dedup", "apply", "plan.jsonl", "--action", "hide", *own)
    assert (unasked.returncode, keys()) == (2, everything)
    assert "2 files would be hidden from searches; add --yes to do it" in unasked.stderr
    done = call(folder, "dedup", "apply", "plan.jsonl", "--action", "hide", "--yes", *own)
    assert done.returncode == 0, done.stderr
    assert keys() == everything - hidden
    assert call(folder, "dedup", "undo", *own).returncode == 0
    assert keys() == everything
    moved = process(
        *(folder, "dedup", "apply", "plan.jsonl", "--action", "move", "--to", "aside", "--yes"),
        *own,
    )
    assert moved.returncode == 0, moved.stderr
    assert "moved 2 files to ./aside; 'mmsearch dedup undo' takes it back" in moved.stderr
    assert (folder / "aside" / "copies" / "same bytes.png").is_file()
    assert keys() == everything - hidden
    assert process(folder, "dedup", "undo", *own).returncode == 0
    assert (keys(), (folder / "copies" / "same bytes.png").is_file()) == (everything, True)
    nothing = call(folder, "dedup", "undo", *own)
    assert nothing.returncode == 3
    assert "nothing to undo: nothing has been applied here" in nothing.stderr


def test_thresholds_are_calibrated_once_for_a_rate_and_kept(call: Call, stocked: Path) -> None:
    asked = call(stocked, "dedup", "--fpr", "0.02", "--json")
    assert asked.returncode == 0, asked.stderr
    chosen = json.loads(asked.stdout)["dedup"]["thresholds"]
    assert chosen["source"].startswith("fpr 0.02, calibrated on 10 items")
    assert 0.68 <= chosen["edited"] <= 0.85
    assert 0.7 <= chosen["similar"] <= 0.98
    # Ten pictures vouch for no rate near the one asked for, and the report says so.
    sure = chosen["at_most"]
    assert set(sure) == {"edited", "similar", "text-near"}
    assert min(sure.values()) > 0.1
    assert "95% sure is a rate of at most edited" in chosen["source"]
    later = call(stocked, "dedup", "--edited", "0.9", "--json")
    del sure["edited"]
    assert json.loads(later.stdout)["dedup"]["thresholds"] == {**chosen, "edited": 0.9}
    (stocked / ".mmsearch" / "dedup" / "calibration.json").unlink()
    few = call(stocked, "dedup", "--fpr", "0.02", "--where", "source = 'none'")
    assert few.returncode == 2
    assert "0 pictures are too few to calibrate on" in " ".join(few.stderr.split())


def test_indexing_tells_of_duplicates_as_they_come_in(call: Call, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for seed in range(4):
        scene(seed).save(tmp_path / "shop" / f"{seed}.png")
    scene(1).resize((120, 100)).save(tmp_path / "shop" / "small.png")
    first = call(tmp_path, "index", "shop", "--dedup")
    assert first.returncode == 0, first.stderr
    assert "1 duplicate image in 1 group; 'mmsearch dedup' shows them" in first.stderr
    memory = tmp_path / ".mmsearch" / "dedup" / "pairs.npz"
    with np.load(memory) as kept:
        assert kept["pairs"].shape == (1, 2)
    ImageOps.mirror(scene(2)).save(tmp_path / "shop" / "mirrored.png")
    scene(7).save(tmp_path / "shop" / "new.png")
    second = call(tmp_path, "index", "shop", "--dedup")
    assert "2 duplicate images in 2 groups" in second.stderr
    with np.load(memory) as kept:
        assert len(kept["hashes"]) == 7


def test_pictures_that_were_compared_before_are_not_looked_at_again(
    call: Call, process: Call, tmp_path: Path
) -> None:
    """Once compared, even their files may be gone: what was said of their content stays."""
    shop, remembered = tmp_path / "shop", tmp_path / ".mmsearch" / "dedup"
    shop.mkdir()
    for seed in range(2):
        scene(seed).save(shop / f"{seed}.png")
        scene(seed).save(shop / f"{seed}-same.bmp")
        scene(seed).crop((10, 8, 230, 196)).save(shop / f"{seed}-crop.png")
        ImageOps.mirror(scene(seed)).resize((120, 100)).save(shop / f"{seed}-small.png")

    def dedup(run: Call = call) -> Any:
        done = run(tmp_path, "dedup", "--json", "--tiers", "pixels,edited")
        assert done.returncode == 0, done.stderr
        groups = json.loads(done.stdout)["dedup"]["groups"]
        return {
            (each["kept"]["key"], member["item"]["key"], member["tier"], round(member["score"], 3))
            for each in groups
            for member in each["others"]
        }

    assert call(tmp_path, "index", "shop").returncode == 0
    first = dedup()
    assert {tier for *_, tier, _ in first} == {"pixels", "edited"}
    assert len(first) == 6
    shutil.move(shop, tmp_path / "elsewhere")
    # This process keeps what it has decoded; another one has only the store.
    assert dedup(process) == first
    shutil.move(tmp_path / "elsewhere", shop)
    scene(0).rotate(180).save(tmp_path / "new.png")
    assert call(tmp_path, "index", "shop", "new.png").returncode == 0
    second = dedup()
    assert len(second) == 7
    for path in remembered.iterdir():
        path.unlink()
    assert dedup() == second


def test_a_file_that_changed_since_it_was_indexed_leaves_no_verdict(
    process: Call, call: Call, tmp_path: Path
) -> None:
    for name in ("a.png", "b.bmp"):
        scene(5).save(tmp_path / name)
    assert call(tmp_path, "index", "a.png", "b.bmp").returncode == 0
    assert call(tmp_path, "dedup", "--tiers", "edited", "--quiet").returncode == 0
    remembered = tmp_path / ".mmsearch" / "dedup"
    for path in remembered.iterdir():
        path.unlink()
    scene(6).save(tmp_path / "b.bmp")
    # A process of its own has decoded neither file before.
    done = process(tmp_path, "dedup", "--tiers", "pixels", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dedup"]["groups"] == []
    scene(5).save(tmp_path / "b.bmp")
    again = json.loads(call(tmp_path, "dedup", "--tiers", "pixels", "--json").stdout)
    assert len(again["dedup"]["groups"]) == 1


def test_texts_that_were_compared_before_are_remembered(call: Call, tmp_path: Path) -> None:
    """Over rows that come, go and change, a run that remembers says what a fresh one says."""
    table, remembered = tmp_path / "items.csv", tmp_path / ".mmsearch" / "dedup"
    said = [
        f"A {trait} {thing} for {use}, washable at 40 degrees, with a warranty of two years"
        for trait in ("light", "warm", "plain")
        for thing in ("jacket", "blanket", "tent cover", "backpack")
        for use in ("long trips in the rain", "cold evenings by the lake")
    ]

    def write(texts: list[str]) -> None:
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
        assert call(tmp_path, "index", "items.csv", "--prune").returncode == 0

    def dedup(*arguments: str) -> Any:
        done = call(tmp_path, "dedup", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout)["dedup"], "seconds": 0}

    def both() -> tuple[Any, Any]:
        found = dedup()
        (remembered / "texts.npz").unlink()
        return found, dedup()

    write(said[:18])
    first, fresh = both()
    assert first == fresh
    assert {group["family"] for group in first["groups"]} == {"text"}
    kept = (remembered / "texts.npz").read_bytes()
    dedup("--where", "text LIKE '%warm%'")
    assert (remembered / "texts.npz").read_bytes() == kept
    write([*said[:4], said[20], *said[6:], said[0].upper(), said[5] + ", in blue"])
    changed, fresh = both()
    assert changed == fresh
    assert changed["groups"] != first["groups"]
    write(said[3:12])
    assert dedup() == both()[1]


def test_two_runs_at_once_wait_for_each_other_and_agree(stocked: Path, tiny_model: Path) -> None:
    shutil.rmtree(stocked / ".mmsearch" / "dedup", ignore_errors=True)
    command = [sys.executable, "-m", "mmsearch", "dedup", "--csv", "--quiet"]
    environment = environment_of(tiny_model)
    runs = [
        subprocess.Popen(command, cwd=stocked, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [run.communicate(timeout=TIMEOUT_SECONDS)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert len(set(answers)) == 1
    assert "copies/crop.png" in answers[0]
    prints = np.fromfile(stocked / ".mmsearch" / "dedup" / CACHE_NAME, RECORD)
    # Each picture once: 6 in the shop, 4 copies, of which one has the bytes of another.
    assert len(np.unique(prints["hash"])) == len(prints) == 9


def snapshot(folder: Path) -> dict[bytes, tuple[bytes, int, int]]:
    """Every file below: content, mode and mtime; a symbolic link counts as where it leads."""
    return {
        os.fsencode(path): (
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes(),
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_links_odd_names_and_changed_files_of_a_real_folder(call: Call, tmp_path: Path) -> None:
    shop, copies = tmp_path / "shop", tmp_path / "shop" / "co pies"
    copies.mkdir(parents=True)
    for seed in range(3):
        scene(seed).save(shop / f"{seed}.png")
    odd = [copies / name for name in ('it\'s "quoted".png', os.fsdecode(b"not-utf8-\xff.png"))]
    read_only, changed, hard = (copies / f"{name}.png" for name in ("read only", "changed", "hard"))
    for path in (*odd, read_only, changed):
        shutil.copy(shop / "0.png", path)
    read_only.chmod(0o444)
    hard.hardlink_to(shop / "1.png")
    (copies / "soft.png").symlink_to(shop / "2.png")
    assert call(tmp_path, "index", "shop").returncode == 0
    planned = call(
        *(tmp_path, "dedup", "--tiers", "bytes", "--keep", "path:*/[0-9].png"),
        *("--plan", "plan.jsonl"),
    )
    assert planned.returncode == 0, planned.stderr
    scene(4).save(changed)
    before = snapshot(shop)
    expected = {*odd, read_only}
    for action in ("hardlink", "move"):
        arguments = ("--action", action, "--to", "aside", "--yes", "--json")
        done = call(tmp_path, "dedup", "apply", "plan.jsonl", *arguments)
        assert done.returncode == 0, done.stderr
        outcome = json.loads(done.stdout)["done"]
        assert len(outcome["done"]) == len(expected)
        reasons = " ".join(reason for _, reason in outcome["skipped"])
        assert "has changed since the plan" in reasons
        for path in expected:
            linked = path.exists() and path.samefile(shop / "0.png")
            assert linked if action == "hardlink" else not path.exists()
        # Two names of one file are not copies of each other.
        assert hard.samefile(shop / "1.png")
        assert (copies / "soft.png").is_symlink()
        assert call(tmp_path, "dedup", "undo").returncode == 0
        assert snapshot(shop) == before


def test_few_texts_are_not_judged_and_the_reason_is_printed(call: Call, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    scene(0).save(tmp_path / "few" / "0.png")
    (tmp_path / "few" / "0.txt").write_text("Product number 0")
    assert call(tmp_path, "index", "few").returncode == 0
    done = call(tmp_path, "dedup", "--suspicions", "--json")
    assert done.returncode == 0, done.stderr
    reason = "items with a picture and a text: 1; at least 30 are needed"
    assert json.loads(done.stdout)["dedup"]["silence"] == reason
    assert f"no finding on wrong texts: {reason}" in call(tmp_path, "dedup").stderr
