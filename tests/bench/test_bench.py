"""`aioaug bench`: its figures are right, and it copes with whatever is not there."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from aioaug.bench import (
    charts,
    clusters,
    figures,
    files,
    kernels,
    peers,
    requests,
    tables,
    train,
    workloads,
)
from aioaug.bench.measure import BenchSettings
from aioaug.bench.trial_spec import TrialSpec
from aioaug.cli import main
from PIL import Image, ImageStat


def rounds(*rates):
    return [{"batches_per_s": rate} for rate in rates]


def test_spread():
    assert figures.spread([]) is None
    assert figures.spread([3.0]) == {"median": 3.0, "q1": 3.0, "q3": 3.0}
    assert figures.spread([5, 1, 3, 2, 4]) == {"median": 3, "q1": 2, "q3": 4}


def test_speedup_is_of_rounds_side_by_side():
    ours, theirs = rounds(100, 200, 50), rounds(10, 10, 10)
    assert figures.speedup(ours, theirs) == {"median": 10, "q1": 7.5, "q3": 15}
    # The second of these rounds failed: its neighbour of ours has nobody to compare with.
    theirs[1] = {"error": "no"}
    assert figures.speedup(ours, theirs) == {"median": 7.5, "q1": 6.25, "q3": 8.75}
    assert figures.speedup([], theirs) is None


def test_summary_keeps_what_went_well():
    found = figures.summaries(
        {
            "aioaug": rounds(100, 100),
            "imgaug": [{"error": "no"}, {"batches_per_s": 25, "lag_max_ms": 7.0}],
            "torch": [{"error": "not at all"}, {"error": "not at all"}],
        }
    )
    assert found["imgaug"]["error"] == "no"
    assert found["imgaug"]["ms_per_batch"]["median"] == 40
    assert found["imgaug"]["speedup"]["median"] == 4
    assert found["imgaug"]["lag_worst_ms"] == 7
    assert found["torch"]["batches_per_s"] is None


@pytest.mark.parametrize(
    ("target", "measured", "met"),
    [
        (figures.Target("flip", "speedup", 2, "torch"), 2.0, True),
        (figures.Target("flip", "speedup", 2, "torch"), 1.9, False),
        (figures.Target("flip", "lag_max_ms", 20), 20.0, True),
        (figures.Target("flip", "lag_max_ms", 20), 20.1, False),
    ],
)
def test_targets(target, measured, met):
    way = {target.figure: figures.spread([measured])}
    assert target.judge({"flip": {"ways": {target.peer: way}}})["met"] is met
    assert target.judge({"flip": {"ways": {}}})["met"] is None
    assert target.judge({})["met"] is None


def test_targets_of_clusters_are_judged_where_these_were_measured():
    ways = {
        "aioaug": {"rounds": rounds(10, 20)},
        "dask": {"rounds": rounds(8, 18)},
        "dask-map": {"rounds": rounds(9, 20)},
    }
    found = figures.judged({"typical": {"ways": ways}})
    assert [(each["about"], each["met"]) for each in found] == [
        ("typical: aioaug, DaskEngine, over aioaug", True),
        ("typical: aioaug, DaskEngine, over Dask, client.map", False),
    ]
    assert found[0]["measured"]["median"] == pytest.approx(0.85)
    others = figures.judged({"typical": {"ways": {"aioaug": ways["aioaug"]}}})
    assert not any("Dask" in each["about"] for each in others)


def test_clusters_are_measured_if_asked_for():
    assert peers.usual_peers("ray") == ("aioaug", "ray", "ray-tasks")
    assert not {"dask", "dask-map", "ray"} & set(peers.usual_peers())
    asked = {each.engine for each in peers.PEERS.values()} - {""}
    assert asked == {"dask", "ray"}
    assert set(clusters.CLUSTER_WAYS) == {n for n, peer in peers.PEERS.items() if peer.engine}


def test_every_target_can_be_measured():
    for target in figures.TARGETS:
        assert target.workload in workloads.WORKLOADS
        assert target.peer in peers.PEERS
        assert target.about


@pytest.mark.parametrize("name", ["typical", "tiny"])
def test_workloads_are_real_pictures_and_as_large_as_they_say(name):
    workload = workloads.WORKLOADS[name]
    batches = workloads.pictures(name)
    workloads.pictures.cache_clear()
    assert {batch.shape for batch in batches} == {workload.shape}
    assert workload.megabytes == batches[0].nbytes / 1e6
    assert len({batch.tobytes() for batch in batches[:3]}) == 3
    assert max(batch.std() for batch in batches) > 20


def test_files_are_read_alike(tmp_path):
    files.make_files(tmp_path, 8)
    job = TrialSpec("aioaug", "files", folder=str(tmp_path))
    assert len(files.our_batches(job)[2].references) == 8
    for read in (files.with_pillow, files.with_opencv, files.WithAlbumentations()):
        batch = files.MakeBatch(files.JpegFiles(job.folder, read), 64)(1)
        assert (batch.shape, batch.dtype) == (job.what.shape, np.uint8)
        assert len({picture.tobytes() for picture in batch}) > 8
    assert {peer for peer in peers.PEERS if peers.PEERS[peer].takes(job.what)} == {
        "aioaug",
        *files.FILE_WAYS,
    }


def test_who_makes_tensors():
    job = TrialSpec("aioaug", "train")
    assert {peer for peer in peers.PEERS if peers.PEERS[peer].takes(job.what)} == {
        "aioaug",
        *train.TRAIN_WAYS,
    }


def test_a_job_survives_its_journey():
    job = TrialSpec("imgaug", "tiny-16", workers=3, seconds=0.5, batches=7)
    assert TrialSpec.loads(job.dumps()) == job
    assert job.lookahead == int(1e6 / (32 * 32 * 3))  # a megabyte of small batches


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What a quick run wrote, with one peer that is not installed."""
    folder = tmp_path_factory.mktemp("bench")
    missing = peers.Peer("grain", "Grain", "no_such_module", "no_such_package")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(peers.PEERS, "grain", missing)
        arguments = ["--quick", "--peers", "serial,imgaug,grain", "--batches", "4"]
        code = main(["bench", "tiny", "tiny-16", *arguments, "--json", str(folder / "run.json")])
    assert code == 0
    return folder / "run.json"


@pytest.fixture(scope="module")
def document(quick):
    return json.loads(quick.read_text("utf-8"))


@pytest.fixture(scope="module", autouse=True)
def _fonts(document, tmp_path_factory):
    """matplotlib keeps the files of fonts open that it has used once."""
    charts.draw(document, tmp_path_factory.mktemp("charts"))


def test_json_has_every_figure(document):
    assert list(document["workloads"]) == ["tiny", "tiny-16"]
    for workload in document["workloads"].values():
        assert list(workload["ways"]) == ["aioaug", "serial", "imgaug"]
        for figures_of_way in workload["ways"].values():
            assert figures_of_way["error"] is None
            for name in ("batches_per_s", "ms_per_batch", "speedup", "first_s", "peak_mib"):
                assert figures_of_way[name]["median"] > 0
            for name in ("lag_p50_ms", "lag_p99_ms", "lag_max_ms"):
                assert figures_of_way[name]["median"] >= 0
            [each] = figures_of_way["rounds"]
            assert each["batches"] >= 4
    ours = document["workloads"]["tiny"]["ways"]["aioaug"]
    assert ours["speedup"]["median"] == 1
    about = [target["about"] for target in document["targets"]]
    assert about == [f"{name}: speed, over imgaug.multicore.Pool" for name in ("tiny", "tiny-16")]


@pytest.mark.slow
@pytest.mark.parametrize("way", list(requests.ANSWERERS))
def test_every_way_of_a_request_answers(way, tmp_path):
    if peers.PEERS[way].missing:
        pytest.skip(f"{way} is not installed")
    arguments = ["--quick", "--peers", way, "--batches", "4", "--json", str(tmp_path / "run.json")]
    assert main(["bench", "requests-tiny-10", *arguments]) == 0
    workloads = json.loads((tmp_path / "run.json").read_text("utf-8"))["workloads"]
    found = workloads["requests-tiny-10"]["ways"][way]
    assert found["error"] is None
    assert found["latency_p99_ms"]["median"] >= found["latency_p50_ms"]["median"] > 0


@pytest.mark.slow
def test_requests_have_tables_and_a_chart_of_their_own(tmp_path, capsys):
    page, run = tmp_path / "page.md", tmp_path / "run.json"
    page.write_text(
        "<!-- aioaug bench -->\nstreams\n<!-- end -->\n"
        "<!-- aioaug bench requests -->\nold\n<!-- end -->\n"
    )
    arguments = ["--quick", "--peers", "executor", "--batches", "4", "--json", str(run)]
    names = ["requests-tiny-1", "requests-tiny-10"]
    assert main(["bench", *names, *arguments, "--into", str(page), "--plot", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.glob("*.png")] == ["performance-requests.png"]
    text = page.read_text()
    assert "streams" in text
    assert "old" not in text
    assert text.count("p50 / p99, ms") == 2
    document = json.loads(run.read_text("utf-8"))
    assert charts.speed(document) is charts.lag(document) is None


def test_requests_stand_for_all_workloads_with_tasks():
    jobs = [
        job.what
        for name in workloads.REQUESTS
        for job in BenchSettings([name], ["aioaug"]).jobs(name)
    ]
    assert {workload.tasks for workload in jobs} == {1, 10, 100}
    assert not BenchSettings(["requests-tiny-1"], ["joblib"]).trials
    assert not BenchSettings(["tiny"], ["executor"]).trials


def test_a_missing_peer_is_named_with_its_remedy(document):
    assert document["peers"]["grain"]["version"] is None
    assert document["peers"]["grain"]["install"] == "pip install 'aioaug[bench]'"
    assert document["peers"]["imgaug"]["install"] is None


def test_what_was_written_can_be_shown_again(quick, capsys):
    assert main(["bench", "--load", str(quick), "--markdown"]) == 0
    shown = capsys.readouterr().out
    assert "| serial imgaug " in shown
    assert "over imgaug.multicore.Pool" in shown
    assert "at least 2" in shown
    assert main(["bench", "--load", __file__]) == 4
    assert "holds no figures" in capsys.readouterr().err


def test_tables_in_a_page_are_renewed(quick, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- aioaug bench -->\nold\n<!-- end -->\nbelow\n")
    for _ in range(2):
        assert main(["bench", "--load", str(quick), "--into", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("above\n<!-- aioaug bench -->\n\n")
    assert text.endswith("\n\n<!-- end -->\nbelow\n")
    assert text.count("| serial imgaug ") == 2
    assert "old" not in text
    page.write_text("no marks")
    assert main(["bench", "--load", str(quick), "--into", str(page)]) == 4
    assert page.read_text() == "no marks"


def test_a_way_that_fails_is_told_and_the_rest_goes_on(document):
    ways = document["workloads"]["tiny"]["ways"]
    ways["imgaug"] = figures.summary([{"error": "it exploded"}], [])
    shown = tables.workload(document, "tiny")
    assert "imgaug.multicore.Pool failed: it exploded" in shown
    assert "serial imgaug" in shown


def test_charts_show_something(quick, tmp_path, capsys):
    assert main(["bench", "--load", str(quick), "--plot", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().err.count("wrote") == 3
    drawn = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert drawn == [f"performance-{name}.png" for name in ("lag", "speed", "start-and-memory")]
    for name in drawn:
        with Image.open(tmp_path / "new" / name) as chart:
            assert chart.width > 800
            assert ImageStat.Stat(chart.convert("L")).stddev[0] > 10


def test_charts_of_nothing_are_none(document):
    empty = {**document, "workloads": {}}
    assert charts.speed(empty) is charts.lag(empty) is charts.start_and_memory(empty) is None


@pytest.mark.slow
def test_albumentations_does_the_work(tmp_path):
    pytest.importorskip("albumentations")
    path = tmp_path / "run.json"
    arguments = ["typical", "--augmenter", "albumentations", "--json", str(path)]
    assert main(["bench", *arguments, "--quick", "--batches", "1", "--workers", "1"]) == 0
    (found,) = json.loads(path.read_text("utf-8"))["workloads"].values()
    assert list(found["ways"]) == ["aioaug"]  # the other quick ones are imgaug's
    assert found["ways"]["aioaug"]["error"] is None
    assert "of Albumentations" in found["title"]


def test_pictures_of_a_data_set_are_augmented():
    pytest.importorskip("albumentations", minversion="2")  # older ones call a parameter otherwise
    name = "typical-albumentations"
    dataset, images = workloads.AugmentedPictures(name), workloads.pictures(name)
    assert dataset[65].shape == images[1][1].shape
    assert (dataset[65] != images[1][1]).any()
    workloads.pictures.cache_clear()


def test_kernels(tmp_path, capsys, monkeypatch):
    some = {name: kernels.Kernel(kernels.KERNELS[name].augmenter) for name in ("add", "elastic")}
    monkeypatch.setattr(kernels, "KERNELS", some)
    page, written = tmp_path / "page.md", tmp_path / "kernels.json"
    page.write_text("<!-- aioaug bench kernels -->\nold\n<!-- end -->\n")
    arguments = ["kernels", "--quick", "--json", str(written), "--into", str(page)]
    assert main(["bench", *arguments]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [*some]
    found = json.loads(written.read_text("utf-8"))
    assert found["settings"] == {"rounds": 1, "batch": 4, "side": 64}
    for ways in found["kernels"].values():
        assert ways["imgaug"] > 0
        assert ways["aioaug"] > 0
        assert ways["albumentations"] is None
        assert ways["albumentations, batches"] is None
    assert found["kernels"]["add"]["close"] is None
    assert found["kernels"]["elastic"]["close"] > 0
    assert "| add " in page.read_text()
    assert "old" not in page.read_text()


def test_kernels_beside_each_albumentations_have_a_table_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(
        kernels, "KERNELS", {"add": kernels.Kernel(kernels.KERNELS["add"].augmenter)}
    )
    monkeypatch.setattr(kernels, "installed_version", {"albumentationsx": "2.5.1"}.get)
    page = tmp_path / "page.md"
    marks = "<!-- aioaug bench kernels -->", "<!-- aioaug bench kernels, AlbumentationsX -->"
    page.write_text("".join(f"{mark}\nold\n<!-- end -->\n" for mark in marks))
    assert main(["bench", "kernels", "--quick", "--into", str(page)]) == 0
    first, second = page.read_text().split(marks[1])
    assert "old" in first
    assert "old" not in second
    assert "AlbumentationsX 2.5.1" in second


def test_wrong_usage(capsys):
    assert main(["bench", "kernels", "tiny"]) == 2
    assert main(["bench", "kernels", "--plot", "there"]) == 2
    assert main(["bench", "--peers", "nobody"]) == 2
    assert "no peer 'nobody'" in capsys.readouterr().err
    assert main(["bench", "nothing"]) == 2
    pytest.importorskip("albumentations")
    capsys.readouterr()
    assert main(["bench", "tiny", "--augmenter", "albumentations"]) == 4
    assert "tiny has no augmenter of albumentations; typical has one" in capsys.readouterr().err


def test_missing_asks_for_the_module_itself():
    there = peers.PEERS["imgaug"]
    assert not there.missing
    assert there.version
    gone = dataclasses.replace(there, package="no_such_package")
    assert gone.missing
    assert gone.version is None
