"""Pictures alone get from a pipeline of Albumentations what `Compose` makes, to the byte."""

import inspect
import pickle
import random
import threading

import numpy as np
import pytest
from aioaug._base.seeding import batch_seeds
from aioaug.augmenters.albumentations import AlbumentationsPipeline
from aioaug.augmenters.albumentations_releases import release_of
from aioaug.augmenters.albumentations_steps import steps_of
from aioaug.augmenters.per_picture import seeds_of_pictures
from columns_testing import IMAGES, SEED, mapped

library = pytest.importorskip("albumentations")
RELEASE = release_of(library)
if RELEASE is None:
    pytest.skip("this release runs its own pipelines", allow_module_level=True)

SHAPES = [(60, 70, 3), (1, 1, 3), (7, 13, 4), (33, 31, 1), (9, 9, 5)]
OPTIONS = {
    "HorizontalFlip": [{}],
    "Affine": [
        {"rotate": (-20, 20), "scale": (0.9, 1.1)},
        {"shear": (-9, 9), "translate_percent": (-0.2, 0.2), "keep_ratio": True},
        {"translate_px": (-3, 3), "interpolation": 2, "border_mode": 1},
        {
            "rotate": (400, 400),
            "scale": {"x": (0.2, 3), "y": (1, 1)},
            "keep_ratio": False,
            "balanced_scale": True,
            "fill": 90,
        },
        {"scale": (1, 1)},  # moves nothing
        {"rotate": (0, 1e-4)},  # nor does this, nearly
        {"rotate": (45, 45), "fit_output": True},
        {"rotate": (45, 45), "fill": (1, 20, 200)},
    ],
    "ShiftScaleRotate": [{}],
    "MultiplicativeNoise": [
        {"multiplier": (0.8, 1.2)},
        {"multiplier": (0, 20)},
        {"per_channel": True},
        {"elementwise": True},
    ],
    "GaussNoise": [
        {"per_channel": True},
        {"per_channel": True, "std_range": (0, 0)},
        {"per_channel": True, "std_range": (1, 1)},
        {"per_channel": True, "mean_range": (-0.2, 0.2)},
        {"per_channel": False},
        {"per_channel": True, "noise_scale_factor": 0.5},
    ],
}
CASES = [
    pytest.param(name, options, id=f"{name}-{place}")
    for name, several in OPTIONS.items()
    for place, options in enumerate(several)
]


def pictures(shape):
    noise = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    ramp = np.linspace(0, 255, noise.size).reshape(shape).astype(np.uint8)
    return [noise, ramp, noise[::-1]]


def forms_of(pipeline):
    return [step._form for step in pipeline._steps._steps]


def compare(make, images, seeds):
    ours, plain = AlbumentationsPipeline(make()), make()
    for seed in seeds:
        for image in images:
            before = image.copy()
            got = ours._run({"image": image}, seed)["image"]
            plain.set_random_seed(seed)
            expected = plain(image=image)["image"]
            np.testing.assert_array_equal(got, expected)
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(image, before)
    return ours


@pytest.mark.filterwarnings("ignore:ShiftScaleRotate is a special case")
@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_form(name, options):
    transform = getattr(library, name)
    if not options.keys() <= inspect.signature(transform).parameters.keys():
        pytest.skip("this release has no such option")
    for shape in SHAPES:
        compare(lambda: library.Compose([transform(**options, p=0.8)]), pictures(shape), range(4))
    floats = [(image / 255).astype(np.float32) for image in pictures(SHAPES[0])]
    compare(lambda: library.Compose([transform(**options, p=1)]), floats, range(1))


def typical(p=1):
    return library.Compose(
        [
            library.HorizontalFlip(p=0.5),
            library.OneOf([library.GaussNoise(p=1), library.RandomBrightnessContrast(p=1)]),
            library.Affine(rotate=(-20, 20), scale=(0.9, 1.1), p=0.8),
            library.MultiplicativeNoise((0.8, 1.2), p=1),
            library.RandomCrop(20, 10, p=0.5),
            library.Affine(scale=(2, 2), p=0),
            library.GaussNoise(std_range=(0.02, 0.3), per_channel=True, p=0.8),
        ],
        p=p,
    )


@pytest.mark.parametrize("p", [1, 0.6])
def test_a_whole_pipeline(p):
    ours = compare(lambda: typical(p), pictures((40, 30, 3)), range(25))
    proven = [bool(step._proven) for step in ours._steps._steps]
    flips = "HorizontalFlip" in RELEASE.forms
    assert proven == [flips, False, True, True, False, False, True]
    compare(lambda: typical(p), [image[..., 0] for image in pictures((40, 30, 3))], range(5))


def test_a_pipeline_that_never_does_anything():
    compare(lambda: typical(0), pictures((40, 30, 3)), range(3))


def test_groups_of_transforms():
    def made():
        noises = [library.GaussNoise(p=1), library.MultiplicativeNoise(p=0.5)]
        flips = [library.HorizontalFlip(p=0.5), library.VerticalFlip(p=0.5)]
        turned = library.Affine(rotate=(-20, 20), p=0.7)
        return library.Compose(
            [
                library.Compose([turned, *flips], p=0.8),
                library.SomeOf([*flips, turned], n=2, p=0.9),
                library.Sequential([library.OneOf(noises, p=0.5), turned], p=0.6),
                library.RandomOrder([turned, *noises], n=2, p=0.5),
                library.OneOrOther(flips[0], turned, p=0.3),
                library.GaussNoise(std_range=(0.1, 0.2), per_channel=True, p=0.8),
            ]
        )

    ours = compare(made, pictures((20, 31, 3)), range(25))
    assert [bool(step._proven) for step in ours._steps._steps] == [False] * 5 + [True]


def test_forms_take_what_was_turned():
    def made():
        turns = (library.Transpose, library.RandomRotate90, library.HorizontalFlip)
        last = library.Affine(rotate=(-20, 20), p=1)
        return library.Compose([*(turn(p=0.5) for turn in turns), last])

    assert compare(made, pictures((20, 31, 3)), range(8))._steps._steps[-1]._proven == {3}


def test_elsewhere_and_in_between():
    """In another thread, in a copy, and after somebody else has had the pipeline."""
    pipeline, plain = AlbumentationsPipeline(typical()), typical()
    (image, *_) = pictures((40, 30, 3))
    got = []

    def run(ours):
        got.append([ours._run({"image": image}, seed)["image"].tobytes() for seed in range(6)])

    run(pipeline)
    thread = threading.Thread(target=run, args=(pipeline,))
    thread.start()
    thread.join()
    run(pickle.loads(pickle.dumps(pipeline)))
    pipeline.pipeline.set_random_seed(3)
    run(pipeline)
    pipeline.pipeline.set_random_state(np.random.default_rng(1), random.Random(1))
    run(pipeline)
    expected = []
    for seed in range(6):
        plain.set_random_seed(seed)
        expected.append(plain(image=image)["image"].tobytes())
    assert got == [expected] * 5


async def test_in_a_pool():
    pipeline = typical()
    pictures = [np.tile(image, (2, 2, 1)) for image in IMAGES]
    (got,) = await mapped(pipeline, [pictures], engine="inline")
    rng = np.random.default_rng(batch_seeds(SEED, 0))
    for place, seed in enumerate(seeds_of_pictures(rng, len(pictures))):
        pipeline.set_random_seed(seed)
        np.testing.assert_array_equal(got[place], pipeline(image=pictures[place])["image"])


class Heir(library.Compose):
    pass


class NoisyHeir(library.GaussNoise):
    def apply(self, img, noise_map, **params):
        return img


def test_pipelines_that_do_more_are_left_alone():
    flip = library.HorizontalFlip(p=1)
    for pipeline in (
        flip,
        Heir([flip]),
        library.Sequential([flip]),
        library.ReplayCompose([flip]),
        library.Compose([flip], save_applied_params=True),
        library.Compose([flip], bbox_params=library.BboxParams("coco")),
        library.Compose([flip], keypoint_params=library.KeypointParams("xy")),
    ):
        assert steps_of(pipeline) is None
    more = library.Compose([flip], additional_targets={"other": "image"})
    assert (steps_of(more) is None) == ("additional_targets" in RELEASE.more)


class Drawing(library.ImageOnlyTransform):
    def apply(self, img, **params):
        return img + np.uint8(self.py_random.randrange(99) + self.random_generator.integers(99))


def test_transforms_of_the_users_own_are_seeded():
    def drawn(seeds, **more):
        group = library.OneOf([Drawing(p=1)], p=1)
        ours = AlbumentationsPipeline(library.Compose([group, Drawing(p=1)]))
        image = np.zeros((9, 9, 3), np.uint8)
        return {seed: ours._run({"image": image} | more, seed)["image"].item(0) for seed in seeds}

    expected = drawn(range(8))
    assert len(set(expected.values())) > 1
    assert drawn(reversed(range(8)), mask=np.zeros((9, 9, 1), np.uint8)) == expected


@pytest.mark.parametrize("version", ["1.4.24", "2.0.9", "2.5.2", "3.0.0", None])
def test_other_releases_are_left_alone(monkeypatch, version):
    monkeypatch.setattr(library, "__version__", version)
    assert steps_of(typical()) is None
    compare(typical, pictures((40, 30, 3)), range(3))


def test_transforms_that_were_changed_have_no_form():
    changed, replayed = library.GaussNoise(p=1), library.GaussNoise(p=1)
    changed.apply = lambda image, **params: image
    replayed.set_deterministic(True)
    pipeline = library.Compose([NoisyHeir(p=1), changed, replayed])
    assert forms_of(AlbumentationsPipeline(pipeline)) == [None] * 3
    compare(lambda: library.Compose([NoisyHeir(p=1)]), list(IMAGES), range(3))


def test_a_form_that_differs_is_not_used(monkeypatch):
    tried = []

    def wrong(transform, image, draws):
        tried.append(draws.random_generator.integers(10))
        return image + np.uint8(1)

    monkeypatch.setitem(RELEASE.forms, "GaussNoise", wrong)
    ours = compare(
        lambda: library.Compose([library.GaussNoise(p=1), library.GaussNoise(p=0.5)]),
        list(IMAGES),
        range(5),
    )
    assert forms_of(ours) == [None, None]
    assert len(tried) == 2
