"""What one looks at in a notebook: grids of pictures, bars, and the notebook of the examples."""

from __future__ import annotations

import json
from pathlib import Path

import aioaug
import aioaug_testing as aug
import cv2
import imgaug.augmenters as iaa
import numpy as np
import pytest
import tqdm
from imgaug.augmentables import (
    BoundingBox,
    BoundingBoxesOnImage,
    HeatmapsOnImage,
    Keypoint,
    KeypointsOnImage,
    LineString,
    LineStringsOnImage,
    Polygon,
    PolygonsOnImage,
    SegmentationMapsOnImage,
    UnnormalizedBatch,
)
from programs_testing import output_of

SHAPE = (60, 90, 3)
GREY = np.full((3, *SHAPE), 128, np.uint8)
MAP = np.zeros((60, 90, 2), np.int32)
MAP[30:] = 1
COLUMNS = {
    "keypoints": KeypointsOnImage([Keypoint(20, 30)], SHAPE),
    "bounding_boxes": BoundingBoxesOnImage([BoundingBox(10, 5, 70, 50)], SHAPE),
    "polygons": PolygonsOnImage([Polygon([(5, 5), (60, 5), (30, 50)])], SHAPE),
    "line_strings": LineStringsOnImage([LineString([(0, 10), (80, 55)])], SHAPE),
    "segmentation_maps": SegmentationMapsOnImage(MAP, SHAPE),
    "heatmaps": HeatmapsOnImage(MAP.astype(np.float32), SHAPE),
}


def tile(grid, row, column):
    return grid.pixels[60 * row : 60 * (row + 1), 90 * column : 90 * (column + 1)]


@pytest.mark.parametrize("name", COLUMNS)
def test_all_that_belongs_to_an_image_is_drawn_on_it(name):
    batch = {"images": GREY, name: [COLUMNS[name]] * 3, "labels": [1, 2, 3]}
    grid = aioaug.show(batch, columns=2)
    assert grid.pixels.shape == (120, 180, 3)
    assert (tile(grid, 0, 1) == tile(grid, 0, 0)).all()
    assert (tile(grid, 0, 0) != 128).any()
    assert (tile(grid, 1, 1) == 0).all()  # there is no fourth one
    assert (GREY == 128).all()


def test_what_was_augmented_is_shown():
    batch = UnnormalizedBatch(images=GREY, keypoints=[COLUMNS["keypoints"]] * 3)
    before = aioaug.show(batch).pixels
    after = aioaug.show(iaa.Fliplr(1).augment_batch_(batch)).pixels
    assert (after[:60, :90] == before[:60, :90][:, ::-1]).mean() > 0.98
    assert (after != before).any()


@pytest.mark.parametrize(
    "images",
    [
        np.full((2, 4, 6), 200, np.uint8),
        np.full((2, 4, 6, 1), 200, np.uint8),
        [np.full((4, 6, 5), 200, np.uint8)] * 2,
        np.full((2, 4, 6, 3), 200 * 256 + 7, np.uint16),
        np.full((2, 4, 6, 3), 200 / 255, np.float32),
        np.full((2, 4, 6, 3), 200.0),
        np.full((2, 4, 6, 3), 200, np.int64),
    ],
)
def test_pixels_of_every_kind(images):
    pixels = aioaug.show(images).pixels
    assert pixels.shape[2] == 3
    assert set(np.unique(pixels)) <= {0, 200}
    assert (aioaug.show(np.ones((1, 4, 6), bool)).pixels == 255).all()


def test_large_pictures_are_made_smaller_and_many_left_out():
    assert aioaug.show(np.zeros((1, 100, 300, 3), np.uint8), size=60).pixels.shape == (20, 60, 3)
    assert aioaug.show(np.zeros((9, 10, 10, 3), np.uint8), most=4).pixels.shape == (20, 20, 3)


def test_a_grid_is_a_picture(tmp_path):
    red = np.zeros((1, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    grid = aioaug.show(red)
    assert repr(grid) == "<PictureGrid of 8x8 pixels>"
    grid.save(tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes() == grid._repr_png_()
    assert (cv2.imread(str(tmp_path / "grid.png")) == (0, 0, 255)).all()  # OpenCV has BGR
    with pytest.raises(ValueError, match="path must end in the suffix of an image format"):
        grid.save(tmp_path / "grid.text")


def test_what_cannot_be_shown():
    with pytest.raises(ValueError, match="must have images to be shown"):
        aioaug.show([COLUMNS["keypoints"]])
    with pytest.raises(ValueError, match="most must be 1 or more, got 0"):
        aioaug.show(GREY, most=0)
    with pytest.raises(TypeError, match="a batch must be"):
        aioaug.show("picture.png")


class Bar:
    """What a bar of tqdm's shows, as text."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.fixture(autouse=True)
def no_monitor(monkeypatch):
    """tqdm keeps a thread for the rest of the program, to redraw bars that stand still."""
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)


async def test_a_bar_of_a_stream():
    screen = Bar()
    async with aioaug.AsyncPool(aug.nothing, 1, engine="inline") as pool:
        stream = pool.imap_batches(iter(range(5)))
        async with aioaug.progress(stream, 5, file=screen, mininterval=0) as batches:
            assert [batch async for batch in batches] == list(range(5))
    assert "5/5" in screen.text
    assert "batch/s" in screen.text


async def test_a_bar_that_is_left_ends_the_stream():
    async with aioaug.AsyncPool(aug.nothing, 1, engine="inline") as pool:
        stream = pool.imap_batches(iter(range(50)), output_buffer_size=2)
        async with aioaug.progress(stream, file=Bar()) as batches:
            assert await anext(batches) == 0
        await batches.aclose()
        assert [batch async for batch in stream] == []
    with pytest.raises(TypeError, match="stream must be read by 'async for', got list"):
        aioaug.progress([1, 2])


@pytest.mark.slow
def test_the_notebook_of_the_examples():
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    path = Path(__file__).parent.parent / "examples" / "notebook.ipynb"
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") for cell in cells)  # they would go out of date
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "closed" in output_of("run_cells.py", [*sources, "print(pool)"])
