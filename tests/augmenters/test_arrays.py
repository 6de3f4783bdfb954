"""Arrays reach augmenters laid out in memory in one way, whichever engine takes them there."""

from __future__ import annotations

import pickle

import aioaug
import aioaug_testing as aug
import numpy as np
import pytest
from aioaug._worker.augmentation import Augmentation
from aioaug.augmenters import arrays

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 6, 4, 3), np.uint8)
LAYOUTS = {
    "C": PIXELS,
    "Fortran": np.asfortranarray(PIXELS),
    "channels in front": np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1),
    "reversed": PIXELS[:, :, ::-1],
    "one channel": PIXELS[..., 1:2],
    "one picture": PIXELS[1:, ::2],
    "one column": np.lib.stride_tricks.as_strided(PIXELS, (2, 2, 1, 3), (6, 1, 1, 2)),
    "one column of Fortran's": np.asfortranarray(PIXELS)[:, :, 1:2],
    "none": PIXELS[:0],
    "broadcast": np.broadcast_to(PIXELS[:1, :1], (2, 5, 4, 3)),
}


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if LAYOUTS[name].size])
@pytest.mark.parametrize("engine", ["inline", "thread", "process"])
async def test_callables_see_one_layout(layout, engine):
    array = LAYOUTS[layout]
    given = array.strides
    batch = {"array": array, "more": [array, (array, None)]}
    async with aioaug.AsyncPool(aug.strides, engine=engine, processes=1) as pool:
        [seen] = await pool.map_batches([batch])
    keeps_order = array.flags.f_contiguous and not array.flags.c_contiguous
    expected = np.empty(array.shape, np.uint8, order="F" if keeps_order else "C").strides
    assert seen == [expected] * 3
    assert array.strides == given


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", ["stack", "list", "batch"])
def test_imgaug_does_the_same_with_what_was_pickled(layout, form):
    import imgaug.augmenters as iaa
    from imgaug.augmentables import UnnormalizedBatch

    stack = LAYOUTS[layout]
    batch = {
        "stack": stack,
        "list": list(stack),
        "batch": UnnormalizedBatch(images=stack),
    }[form]
    # It works in place where the layout allows it.
    colored = iaa.WithColorspace("HSV", children=iaa.Add(30))
    last = colored if stack.shape[-1] == 3 else iaa.AverageBlur(3)
    augmenter = iaa.Sequential([iaa.CenterCropToAspectRatio(1.0), last])
    made = [
        Augmentation(augmenter, 1)(0, each) for each in (batch, pickle.loads(pickle.dumps(batch)))
    ]
    left, right = (each.images_aug if form == "batch" else each for each in made)
    assert len(left) == len(right) == len(stack)
    for one, other in zip(left, right, strict=True):
        assert np.array_equal(one, other)
        assert one.strides == other.strides


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_array_that_is_shared_stays_one(layout):
    array = LAYOUTS[layout]
    one, (two, three), four = arrays.contiguous([array, (array, array), {"deep": [array]}])
    assert one is two is three is four["deep"][0]
    plain = {"images": [PIXELS, np.asfortranarray(PIXELS)], "labels": (1, PIXELS)}
    assert arrays.contiguous(plain) is plain


def test_maps_are_laid_out_too():
    from imgaug.augmentables import HeatmapsOnImage, SegmentationMapsOnImage

    heatmap = HeatmapsOnImage(np.zeros((4, 6, 1), np.float32), (4, 6, 3))
    heatmap.arr_0to1 = np.linspace(0, 1, 24, dtype=np.float32).reshape(6, 4, 1).transpose(1, 0, 2)
    segments = SegmentationMapsOnImage(np.zeros((4, 6, 1), np.int32), (4, 6, 3))
    segments.arr = np.arange(48, dtype=np.int32).reshape(4, 12, 1)[:, ::2]
    [laid_heatmap], [laid_segments] = map(arrays.for_imgaug, ([heatmap], [segments]))
    assert laid_segments.arr.flags.c_contiguous
    assert laid_heatmap.arr_0to1.strides == (4, 16, 96)
    assert np.array_equal(laid_heatmap.arr_0to1, heatmap.arr_0to1)
    assert np.array_equal(laid_segments.arr, segments.arr)
    assert not segments.arr.flags.c_contiguous  # the caller's own stays
