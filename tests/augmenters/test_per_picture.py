"""Functions of one image, pipelines of Albumentations, and chains of augmenters of any kind."""

from __future__ import annotations

import random

import aioaug
import forms_testing as forms
import imageio.v3 as imageio
import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug._base.seeding import batch_seeds
from aioaug.augmenters.albumentations import AlbumentationsPipeline
from aioaug.augmenters.albumentations_seeding import PipelineSeeding
from aioaug.augmenters.per_picture import seeds_of_pictures
from aioaug.data import Files, decode
from columns_testing import IMAGES, SEED, columns, mapped
from imgaug.augmentables import LineStringsOnImage
from imgaug.augmentables.batches import Batch, UnnormalizedBatch


def with_rng(image, rng):
    return image + rng.integers(200, dtype=np.uint8)


def without_rng(image):
    image += np.uint8(np.random.randint(100) + random.randrange(100))
    return image


def ragged(image, rng):
    return image[: rng.integers(1, 20)]


def albumentations():
    library = pytest.importorskip("albumentations")
    return library.Compose(
        [
            library.HorizontalFlip(p=0.5),
            library.Rotate(p=1),
            library.RandomBrightnessContrast(p=0.8),
            library.GaussNoise(p=0.5),
        ],
        bbox_params=library.BboxParams("coco", label_fields=["labels"], min_visibility=0.3),
        keypoint_params=library.KeypointParams("xy", remove_invisible=False),
    )


def torchvision():
    transforms = pytest.importorskip("torchvision.transforms.v2")
    return transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(30),
            transforms.ColorJitter(0.5, hue=0.1),
        ]
    )


def augmenters(kind):
    return {
        "rng": lambda: aioaug.per_image(with_rng),
        "globals": lambda: aioaug.per_image(without_rng),
        "lambda": lambda: aioaug.per_image(lambda image, rng: with_rng(image, rng)),
        "albumentations": albumentations,
        "torchvision": torchvision,
        "chain": lambda: aioaug.chain(iaa.Fliplr(0.5), albumentations(), without_rng),
    }[kind]()


async def streamed(augmenter, batches, *, take=None, state=None, ordered=True, **options):
    async with aioaug.AsyncPool(augmenter, seed=SEED, **options) as pool:
        method = pool.imap_batches if ordered else pool.imap_batches_unordered
        async with method(batches, state=state) as stream:
            got = [await anext(stream) for _ in range(take or len(batches))]
            return got, stream.state()


LONG = [
    pytest.param(kind, marks=pytest.mark.slow)
    for kind in ("globals", "lambda", "albumentations", "torchvision", "chain")
]


@pytest.mark.parametrize("kind", ["rng", *LONG])
async def test_same_bytes_everywhere(kind):
    augmenter = augmenters(kind)
    batches = [IMAGES + np.uint8(place) for place in range(6)]
    expected = await mapped(augmenter, batches)
    assert len({batch.tobytes() for batch in expected}) == 6
    for options in (
        {"engine": "thread", "processes": 2},
        {"engine": "inline"},
        {"processes": 3, "start_method": "spawn", "maxtasksperchild": 2},
    ):
        np.testing.assert_array_equal(await mapped(augmenter, batches, **options), expected)
    got, _ = await streamed(augmenter, batches, ordered=False, processes=2)
    assert {batch.tobytes() for batch in got} == {batch.tobytes() for batch in expected}
    first, state = await streamed(augmenter, batches, take=2, processes=1)
    rest, _ = await streamed(augmenter, batches, take=4, state=state, processes=2)
    np.testing.assert_array_equal(first + rest, expected)


async def test_a_killed_worker_changes_nothing(tmp_path):
    dying = aioaug.chain(forms.DiesInItsFirstCall(tmp_path / "died"), albumentations())
    (tmp_path / "lives").touch()
    plain = aioaug.chain(forms.DiesInItsFirstCall(tmp_path / "lives"), albumentations())
    expected = await mapped(plain, [IMAGES, IMAGES])
    np.testing.assert_array_equal(await mapped(dying, [IMAGES, IMAGES]), expected)
    assert (tmp_path / "died").exists()


async def test_each_image_has_numbers_of_its_own():
    same = np.zeros((4, 2, 2, 1), np.uint8)
    for function in (with_rng, without_rng):
        (batch,) = await mapped(aioaug.per_image(function), [same], engine="inline")
        assert len({image.tobytes() for image in batch}) == 4


class OfGlobalGenerators:
    """A pipeline as those of Albumentations 1.4.19: it draws from the global generators."""

    def __call__(self, image):
        return {"image": without_rng(image.copy())}


@pytest.mark.parametrize(
    "augmenter",
    [aioaug.per_image(without_rng), AlbumentationsPipeline(OfGlobalGenerators())],
    ids=["function", "pipeline"],
)
def test_generators_are_restored_once_a_batch(augmenter, monkeypatch):
    restored = []
    monkeypatch.setattr(random, "setstate", restored.append)
    before = random.getstate()
    assert len({image.tobytes() for image in augmenter(IMAGES, np.random.default_rng(1))}) > 1
    assert restored == [before]


async def test_forms_of_batches():
    double = aioaug.per_image(lambda image: image * 2)
    labels = [1, 2, 3]
    loose = UnnormalizedBatch(images=IMAGES, data="data")
    batches = [IMAGES, list(IMAGES), (IMAGES, labels), IMAGES[..., 0], loose]
    array, images, pair, gray, batch = await mapped(double, batches, engine="inline")
    np.testing.assert_array_equal(array, IMAGES * 2)
    np.testing.assert_array_equal(images, IMAGES * 2)
    assert (type(array), type(images), pair[1]) == (np.ndarray, list, labels)
    np.testing.assert_array_equal(gray, IMAGES[..., 0] * 2)
    np.testing.assert_array_equal(batch.images_aug, IMAGES * 2)
    np.testing.assert_array_equal(batch.images_unaug, IMAGES)
    (of_shapes,) = await mapped(aioaug.per_image(ragged), [IMAGES], engine="inline")
    assert isinstance(of_shapes, list)


def test_batches_of_datasets_and_of_imgaug(tmp_path):
    library = pytest.importorskip("albumentations")
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, image in zip(paths, IMAGES, strict=False):
        imageio.imwrite(path, image)
    pipeline = library.Compose([library.HorizontalFlip(p=1)])
    batch = Files(paths).batches(3)[0]
    images = decode(batch).images
    for given in (batch, Batch(images=list(images))):
        done = AlbumentationsPipeline(pipeline)(given, rng=np.random.default_rng(1))
        made = done.images_aug if isinstance(done, Batch) else done.images
        for one, image in zip(made, images, strict=True):
            np.testing.assert_array_equal(one, image[:, ::-1])


async def test_wrong_arguments():
    with pytest.raises(TypeError, match="fn must be a callable"):
        aioaug.per_image(3)
    with pytest.raises(ValueError, match="at least one"):
        aioaug.chain()
    with pytest.raises(TypeError, match="got int"):
        aioaug.chain(iaa.Identity(), 3)
    with pytest.raises(TypeError, match="got str"):
        await mapped(aioaug.per_image(with_rng), ["x"], engine="inline")
    with pytest.raises(ValueError, match="needs batches with images"):
        points = UnnormalizedBatch(keypoints=[[(1, 2)]])
        await mapped(aioaug.per_image(with_rng), [points], engine="inline")


async def test_albumentations_by_hand():
    """The same as the pipeline itself makes of each picture, with its seed."""
    pipeline = albumentations()
    if not hasattr(pipeline, "set_random_seed"):
        pytest.skip("this version has no seed of its own")
    (batch,) = await mapped(pipeline, [UnnormalizedBatch(**columns())])
    rng = np.random.default_rng(batch_seeds(SEED, 0))
    for place, seed in enumerate(seeds_of_pictures(rng, 3)):
        pipeline.set_random_seed(seed)
        got = pipeline(
            image=IMAGES[place],
            bboxes=[[4, 3, 8, 6], [1, 1, 4, 4]],
            labels=["cat", None],
            keypoints=[(4, 3), (11, 8)],
            mask=columns()["segmentation_maps"][0].arr.astype(np.uint8),
            masks=columns()["heatmaps"][0].arr_0to1[np.newaxis],
        )
        np.testing.assert_array_equal(batch.images_aug[place], got["image"])
        np.testing.assert_array_equal(batch.segmentation_maps_aug[place].arr, got["mask"])
        np.testing.assert_array_equal(batch.heatmaps_aug[place].arr_0to1, got["masks"][0])
        np.testing.assert_allclose(
            batch.keypoints_aug[place].to_xy_array(), got["keypoints"], rtol=1e-5
        )
        boxes = batch.bounding_boxes_aug[place]
        corners = np.array([(x, y, x + w, y + h) for x, y, w, h in got["bboxes"]]).reshape(-1, 4)
        np.testing.assert_allclose(boxes.to_xyxy_array(), corners, rtol=1e-4, atol=1e-4)
        assert [box.label for box in boxes.bounding_boxes] == list(got["labels"])


def test_a_pipeline_is_seeded_where_its_generators_are():
    """Transforms of any depth draw the numbers of `set_random_seed`, also after they got others."""
    library = pytest.importorskip("albumentations")
    if not hasattr(library.BasicTransform, "set_random_seed"):
        pytest.skip("this version has no seed of its own")

    def made():
        inner = library.OneOf([library.GaussNoise(p=1), library.RandomBrightnessContrast(p=1)])
        return library.Compose([library.SomeOf([library.Rotate(p=0.7), inner], n=1), inner])

    pipeline, plain = made(), made()
    seeding = PipelineSeeding(pipeline)
    for seed in (3, 2**31 - 2, 3, 0):
        seeding.seed(seed)
        plain.set_random_seed(seed)
        for image in IMAGES:
            got, expected = pipeline(image=image)["image"], plain(image=image)["image"]
            np.testing.assert_array_equal(got, expected)
        pipeline.set_random_state(np.random.default_rng(1), random.Random(1))
    if library.__version__ in ("2.0.8", "2.5.1"):
        seeding.seed(1)
        before = pipeline.random_generator
        seeding.seed(2)
        assert pipeline.random_generator is before  # it was seeded, not replaced
    if library.__version__ == "2.0.8":
        pipeline.set_random_state(np.random.default_rng(1), random.Random(1))
        before = pipeline.transforms[1].random_generator
        seeding.seed(1)
        assert pipeline.transforms[1].random_generator is not before  # not the one that was lent
        before = pipeline.transforms[1].random_generator
        seeding.seed(2)
        assert pipeline.transforms[1].random_generator is before


def test_another_way_of_seeding_is_left_to_the_library():
    library = pytest.importorskip("albumentations")
    if not hasattr(library.BasicTransform, "set_random_seed"):
        pytest.skip("this version has no seed of its own")

    class Counted(library.Compose):
        seeded = 0

        def set_random_seed(self, seed):
            self.seeded += 1
            super().set_random_seed(seed)

    pipeline = Counted([library.HorizontalFlip(p=0.5)])
    seeding = PipelineSeeding(pipeline)
    before = pipeline.seeded
    for seed in range(3):
        seeding.seed(seed)
    assert pipeline.seeded == before + 3


@pytest.mark.parametrize("form", ["pascal_voc", "coco", "yolo", "albumentations", "cxcywh"])
async def test_boxes_of_every_format(form):
    library = pytest.importorskip("albumentations")
    params = library.BboxParams(form)
    if form == "cxcywh" and not hasattr(params, "coord_format"):
        pytest.skip("only AlbumentationsX has this format")
    pipeline = library.Compose([library.HorizontalFlip(p=1)], bbox_params=params)
    boxes = np.array([[4, 3, 12, 9], [1, 1, 5, 5]], np.float32)
    batch = {"images": IMAGES, "bounding_boxes": [boxes, boxes, boxes[:0]], "labels": "kept"}
    (result,) = await mapped(pipeline, [batch], engine="inline")
    np.testing.assert_array_equal(result["images"], IMAGES[:, :, ::-1])
    first, _, last = result["bounding_boxes"]
    np.testing.assert_allclose(first, [[12, 3, 20, 9], [19, 1, 23, 5]], atol=1e-4)
    assert (len(last), result["labels"]) == (0, "kept")


async def test_oriented_boxes_are_refused():
    library = pytest.importorskip("albumentations")
    try:
        params = library.BboxParams("coco", bbox_type="obb")
    except TypeError:
        pytest.skip("this version has none")
    pipeline = library.Compose([library.HorizontalFlip(p=1)], bbox_params=params)
    batch = {"images": IMAGES, "bounding_boxes": columns()["bounding_boxes"]}
    with pytest.raises(ValueError, match="bbox_type='hbb'"):
        await mapped(pipeline, [batch], engine="inline")


async def test_albumentations_in_other_forms(tmp_path):
    library = pytest.importorskip("albumentations")
    flip, compose = library.HorizontalFlip, library.ReplayCompose
    library.save(library.Compose([flip(p=1)]), tmp_path / "flip.json")
    for pipeline in (flip(p=1), compose([flip(p=1)]), library.load(tmp_path / "flip.json")):
        array, gray = await mapped(pipeline, [IMAGES, list(IMAGES[..., 0])])
        np.testing.assert_array_equal(array, IMAGES[:, :, ::-1])
        np.testing.assert_array_equal(gray, IMAGES[:, :, ::-1, 0])


async def test_what_albumentations_cannot_take():
    library = pytest.importorskip("albumentations")
    pipeline = library.Compose([library.HorizontalFlip(p=1)])
    for name, message in (("bounding_boxes", "A.BboxParams"), ("keypoints", "A.KeypointParams")):
        with pytest.raises(ValueError, match=message):
            await mapped(pipeline, [{name: columns()[name], "images": IMAGES}], engine="inline")
    lines = [LineStringsOnImage([], IMAGES.shape[1:])] * 3
    with pytest.raises(ValueError, match="cannot augment line_strings"):
        await mapped(pipeline, [{"images": IMAGES, "line_strings": lines}], engine="inline")


async def test_a_chain_of_imgaugs_batches():
    flips = aioaug.chain(iaa.Fliplr(1), iaa.Add(1), iaa.Flipud(1))
    data = columns()
    for batch in (UnnormalizedBatch(**data, data=3), Batch(**data, data=3)):
        (result,) = await mapped(flips, [batch])
        assert (type(result), result.data) == (type(batch), 3)
        np.testing.assert_array_equal(result.images_unaug, IMAGES)
        np.testing.assert_array_equal(
            result.images_aug, np.minimum(IMAGES[:, ::-1, ::-1].astype(int) + 1, 255)
        )
        assert result.keypoints_aug[0].keypoints[0].x == 20
        assert result.keypoints_unaug[0].keypoints[0].x == 4


async def test_equal_augmenters_of_a_chain_draw_different_numbers():
    zeros = np.zeros((8, 2, 2, 1), np.uint8)
    (one,) = await mapped(iaa.Add((0, 100)), [zeros], engine="inline")
    (two,) = await mapped(aioaug.chain(*[iaa.Add((0, 100))] * 2), [zeros], engine="inline")
    assert one.any()
    assert (two % 2).any()
