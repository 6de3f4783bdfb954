"""Every transformation of a picture: what Keras does, and where this one is meant to differ."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
from aioaug.images import ParallelImageDataGenerator, affine
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_reference import ImageDataGenerator
from numpy.testing import assert_allclose, assert_array_equal
from skimage import data


def photograph(height=96, width=128):
    picture = data.astronaut()[:384:4, 60 : 60 + 4 * width : 4][:height]
    return np.ascontiguousarray(picture, np.float32)


PHOTO = photograph()
SINGLE = [
    {"theta": 17.3},
    {"theta": 90},
    {"tx": 3.7},
    {"ty": -11.2},
    {"tx": 5, "ty": 2},
    {"shear": 12.5},
    {"shear": -40},
    {"zx": 0.7},
    {"zy": 1.6},
    {"zx": 1.2, "zy": 0.8},
    {"flip_horizontal": True},
    {"flip_vertical": True},
    {"channel_shift_intensity": 40.5},
    {"channel_shift_intensity": -77.0},
]
FILLS = ["nearest", "constant", "reflect"]  # and "wrap", below


def assert_close(ours, theirs):
    """Within one grey level, and a tenth of one in the mean."""
    difference = np.abs(np.asarray(ours, float) - np.asarray(theirs, float))
    assert ours.shape == theirs.shape
    assert difference.max() <= 1
    assert difference.mean() <= 0.1


def both(x, plan, **options):
    ours = ParallelImageDataGenerator(**options).apply_transform(x.copy(), plan)
    theirs = ImageDataGenerator(**options).apply_transform(x.copy(), plan)
    return ours, theirs


@pytest.mark.parametrize("fill_mode", FILLS)
@pytest.mark.parametrize("plan", SINGLE, ids=str)
def test_each_transformation_as_in_keras(plan, fill_mode):
    assert_close(*both(PHOTO, plan, fill_mode=fill_mode, cval=33))


@pytest.mark.parametrize("order", range(6))
def test_each_order_as_in_keras(order):
    plan = {"theta": 11, "tx": 2.5, "zx": 0.9}
    assert_close(*both(PHOTO, plan, interpolation_order=order))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["float32", "float64", "uint8"])
def test_each_kind_of_array_as_in_keras(channels, kind):
    x = np.repeat(PHOTO, 2, axis=2)[..., :channels].astype(kind)
    ours, theirs = both(x, {"theta": -33, "shear": 8, "ty": 4.25})
    assert_close(ours, theirs)
    assert ours.dtype == theirs.dtype


plans = st.fixed_dictionaries(
    {
        "theta": st.floats(-180, 180),
        "tx": st.floats(-60, 60),
        "ty": st.floats(-60, 60),
        "shear": st.floats(-60, 60),
        "zx": st.floats(0.3, 2.5),
        "zy": st.floats(0.3, 2.5),
        "flip_horizontal": st.booleans(),
        "flip_vertical": st.booleans(),
        "channel_shift_intensity": st.none() | st.floats(-200, 200),
    }
)


@settings(max_examples=150, deadline=None)
@given(plan=plans, fill_mode=st.sampled_from(["nearest", "reflect"]), seed=st.integers(0, 99))
def test_any_combination_as_in_keras(plan, fill_mode, seed):
    height, width = np.random.default_rng(seed).integers(1, 96, 2)
    assert_close(*both(PHOTO[:height, :width], plan, fill_mode=fill_mode))


@settings(max_examples=50, deadline=None)
@given(plan=plans)
def test_any_combination_with_a_constant_as_in_keras(plan):
    ours, theirs = both(PHOTO, plan, fill_mode="constant", cval=300)
    # Where a sample lies on the border to within rounding, either may call it outside.
    outside = (ours > 255.5) != (theirs > 255.5)
    assert outside.mean() < 0.001 or plan["channel_shift_intensity"] is not None
    if plan["channel_shift_intensity"] is None:
        assert_close(np.where(outside, 0, ours), np.where(outside, 0, theirs))


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_both_layouts_as_in_keras(layout):
    x = PHOTO if layout == "channels_last" else np.moveaxis(PHOTO, -1, 0).copy()
    plan = {"theta": 20, "tx": 4, "flip_horizontal": True, "channel_shift_intensity": 20}
    assert_close(*both(x, plan, data_format=layout))


@pytest.fixture
def rounding_opencv(monkeypatch):
    """One of the versions of OpenCV whose warps round coordinates."""
    monkeypatch.setattr(affine, "_opencv_is_exact", lambda: False)


@pytest.mark.usefixtures("rounding_opencv")
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_opencv_that_rounds_is_not_used(channels):
    x = np.repeat(PHOTO, 2, axis=2)[..., :channels].copy()
    for plan in [*SINGLE, {"theta": -12.3, "tx": 7.7, "ty": 0.01, "zx": 1.3, "shear": 20}]:
        assert_close(*both(x, plan))


def test_what_rounding_looks_like(monkeypatch):
    def rounded(x, linear, offset):
        return affine._spline(x, linear, np.round(offset * 32) / 32, "nearest", 0, 1)

    monkeypatch.setattr(affine, "_warp", rounded)
    assert affine._opencv_is_exact.__wrapped__() is False
    monkeypatch.setattr(affine, "_warp", lambda *given: affine._spline(*given, "nearest", 0, 1))
    assert affine._opencv_is_exact.__wrapped__() is True


def test_a_quarter_turn_is_about_the_centre():
    square = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    turned = ParallelImageDataGenerator().apply_transform(square, {"theta": 90})
    assert_allclose(turned, np.rot90(square, -1), atol=1e-3)


def test_a_far_zoom_is_left_to_scipy():
    assert_close(*both(PHOTO, {"zx": 900.0}))


# Where the documents and the original differ, and this one follows the documents.


def test_shifts_follow_their_names():
    x = np.zeros((9, 9, 1), np.float32)
    x[4, 4] = 1
    generator = ParallelImageDataGenerator(
        height_shift_range=[2], fill_mode="constant", zoom_range=0
    )
    places = set()
    for seed in range(20):
        row, column, _ = np.argwhere(generator.random_transform(x, seed) > 0.5)[0]
        places.add((row, column))
    assert places == {(2, 4), (6, 4)}


@pytest.mark.parametrize(
    ("fill_mode", "expected"),
    [("nearest", "3444"), ("constant", "3499"), ("reflect", "3443"), ("wrap", "3412")],
)
def test_fill_modes_as_documented(fill_mode, expected):
    row = np.array([1, 2, 3, 4], np.float32).reshape(1, 4, 1)
    shifted = ParallelImageDataGenerator(fill_mode=fill_mode, cval=9).apply_transform(
        row, {"ty": 2}
    )
    assert "".join(str(int(one)) for one in shifted.ravel()) == expected


@pytest.mark.parametrize("order", [0, 1, 3])
def test_wrap_repeats_the_picture(order):
    generator = ParallelImageDataGenerator(fill_mode="wrap", interpolation_order=order)
    width = PHOTO.shape[1]
    for plan, roll in [({"tx": 30}, (-30, 0)), ({"ty": -3 * width - 7}, (0, 7))]:
        shifted = generator.apply_transform(PHOTO, plan)
        assert_allclose(shifted, np.roll(PHOTO, roll, (0, 1)), atol=0.02)


def test_contrast_does_not_stretch():
    generator = ParallelImageDataGenerator()
    grey = np.full((4, 4, 3), 100, np.float32)
    grey[:2] = 150
    assert_array_equal(generator.apply_transform(grey, {"contrast": 1.0}), grey)
    assert_array_equal(generator.apply_transform(grey, {"contrast": 0.0}), np.full_like(grey, 125))


def test_brightness_does_not_stretch():
    generator = ParallelImageDataGenerator()
    x = np.full((3, 3, 3), 101, np.float32)
    for factor, expected in [(0, 0), (0.5, 50), (1, 101), (1.5, 151), (3, 255)]:
        assert np.all(generator.apply_transform(x, {"brightness": factor}) == expected)


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.99, 1.0, 1.7])
def test_brightness_as_in_keras_where_that_does_not_stretch(factor):
    x = np.rint(PHOTO)
    x[0, 0], x[0, 1] = 0, 255
    assert_close(*both(x, {"brightness": factor}))


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.3, 2.0])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("change", ["brightness", "contrast"])
def test_colours_as_in_pillow(change, mode, factor):
    from PIL import Image, ImageEnhance

    image = Image.fromarray(PHOTO.astype(np.uint8)).convert(mode)
    if mode == "RGBA":
        image.putalpha(77)
    enhance = {"brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast}[change]
    expected = np.asarray(enhance(image).enhance(factor), np.float32)
    x = np.array(image, np.float32).reshape(*PHOTO.shape[:2], -1)
    ours = ParallelImageDataGenerator().apply_transform(x, {change: factor})
    assert np.abs(ours - expected.reshape(x.shape)).max() <= 1


@pytest.mark.parametrize("change", ["brightness", "contrast"])
def test_pictures_between_0_and_1_stay_there(change):
    generator = ParallelImageDataGenerator()
    x = PHOTO / 255
    assert_array_equal(generator.apply_transform(x, {change: 1.0}), x)
    half = generator.apply_transform(x, {change: 0.5})
    assert 0 <= half.min() < half.max() <= 1
    assert len(np.unique(half)) > 50
    if change == "brightness":
        assert_allclose(half, x / 2, atol=1e-6)


def test_brightness_outside_of_bytes_is_scaled_and_put_back():
    x = (PHOTO - 128) * 4
    darker = ParallelImageDataGenerator().apply_transform(x, {"brightness": 0.5})
    low, span = x.min(), np.ptp(x)
    assert_allclose(darker, (x - low) * 0.5 + low, atol=span / 255 * 1.01)


def test_the_order_of_transformations():
    plan = {
        "tx": 0.5,
        "channel_shift_intensity": 60.5,
        "flip_vertical": True,
        "brightness": 0.6,
        "contrast": 1.7,
        "noise": "s&p",
        "noise_seed": 1,
    }
    generator = ParallelImageDataGenerator(fill_mode="constant")
    x = PHOTO
    for keys in (["tx"], *([key] for key in list(plan)[1:5]), ["noise", "noise_seed"]):
        x = generator.apply_transform(x, {key: plan[key] for key in keys})
    assert_array_equal(generator.apply_transform(PHOTO, plan), x)
    before = generator.apply_transform(PHOTO, {"contrast": 1.7})
    assert not np.array_equal(generator.apply_transform(before, {"brightness": 0.6}), x)


def test_the_seed_of_a_draw_counts():
    generator = ParallelImageDataGenerator(
        rotation_range=30, zoom_range=0.2, noise=["gauss", "s&p", "speckle"]
    )
    plans = [generator.get_random_transform((8, 8, 3), seed) for seed in range(30)]
    assert plans[3] == generator.get_random_transform((8, 8, 3), 3)
    assert len({plan["theta"] for plan in plans}) == 30
    assert {plan["noise"] for plan in plans} == {"gauss", "s&p", "speckle"}
    x = PHOTO
    assert_array_equal(generator.random_transform(x, 5), generator.random_transform(x, 5))
    unseeded = generator.get_random_transform((8, 8, 3)), generator.get_random_transform((8, 8, 3))
    assert unseeded[0] != unseeded[1]


# Draws.


def draws(key, count=400, shape=(40, 20, 3), **options):
    generator = ParallelImageDataGenerator(**options)
    return np.array([generator.get_random_transform(shape, seed)[key] for seed in range(count)])


def test_draws_stay_in_their_ranges():
    theta = draws("theta", rotation_range=30)
    assert -30 <= theta.min() < -25 < 25 < theta.max() <= 30
    zoom = draws("zx", zoom_range=0.25), draws("zy", zoom_range=[0.5, 3])
    assert 0.75 <= zoom[0].min() < 0.8 < 1.2 < zoom[0].max() <= 1.25
    assert 0.5 <= zoom[1].min() < 0.6 < 2.9 < zoom[1].max() <= 3
    assert 0.4 < draws("flip_vertical", vertical_flip=True).mean() < 0.6
    assert not draws("flip_vertical", horizontal_flip=True).any()
    assert abs(draws("shear", shear_range=4)).max() <= 4
    assert draws("brightness", brightness_range=(0.2, 0.4)).max() <= 0.4


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (2, {-1, 0, 1}),
        (1, {0}),
        (0, {0}),
        ([3, 5], {-5, -3, 3, 5}),
        ((0.25,), {-5, 5}),
        (np.array([2]), {-2, 2}),
    ],
    ids=str,
)
def test_shifts_by_steps(limits, expected):
    assert set(draws("ty", width_shift_range=limits)) == expected


@pytest.mark.parametrize(
    ("key", "plain", "turned"),
    [
        ("theta", {"rotation_range": 20}, {"rotation_range": -20}),
        ("shear", {"shear_range": 5}, {"shear_range": -5}),
        ("channel_shift_intensity", {"channel_shift_range": 9}, {"channel_shift_range": -9}),
        ("ty", {"width_shift_range": 0.2}, {"width_shift_range": -0.2}),
        ("tx", {"height_shift_range": 3}, {"height_shift_range": -3}),
        ("zx", {"zoom_range": 0.2}, {"zoom_range": -0.2}),
        ("zy", {"zoom_range": (0.8, 1.2)}, {"zoom_range": (1.2, 0.8)}),
        ("brightness", {"brightness_range": (0.8, 1.2)}, {"brightness_range": (1.2, 0.8)}),
        ("contrast", {"contrast_range": [0.8, 1.2]}, {"contrast_range": [1.2, 0.8]}),
    ],
    ids=str,
)
def test_ranges_may_be_given_the_other_way_round(key, plain, turned):
    assert_array_equal(draws(key, 20, **plain), draws(key, 20, **turned))


def test_shifts_by_ranges():
    pixels, fraction = draws("ty", width_shift_range=1.0), draws("tx", height_shift_range=0.5)
    assert -1 <= pixels.min() < -0.9 < 0.9 < pixels.max() < 1
    assert -20 <= fraction.min() < -18 < 18 < fraction.max() <= 20


def test_colours_do_not_change_what_moves_pixels():
    moving = {"rotation_range": 9, "zoom_range": 0.1, "width_shift_range": 0.1}
    plain = ParallelImageDataGenerator(**moving)
    coloured = ParallelImageDataGenerator(
        **moving, brightness_range=(0.5, 2), channel_shift_range=9, noise=["gauss"]
    )
    for seed in range(20):
        one, other = (each.get_random_transform((9, 9, 3), seed) for each in (plain, coloured))
        same = [one[key] == other[key] for key in ("theta", "tx", "ty", "zx", "zy")]
        assert all(same)


def test_the_default_transform_changes_nothing():
    generator = ParallelImageDataGenerator(rotation_range=90, random_transforms_enabled=False)
    plan = generator.default_transform
    assert plan == generator.get_random_transform(PHOTO.shape)
    assert_array_equal(generator.random_transform(PHOTO), PHOTO)
    plan["theta"] = 5
    assert generator.default_transform["theta"] == 0


def test_global_generators_are_left_alone():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    generator = ParallelImageDataGenerator(
        rotation_range=9, noise=["gauss"], featurewise_center=True
    )
    generator.random_transform(PHOTO, seed=3)
    generator.fit(PHOTO[None], augment=True, seed=3)
    assert (random.random(), np.random.rand()) == expected


# Noise.


def noisy(kind, x, seed=0):
    return ParallelImageDataGenerator().apply_transform(x, {"noise": kind, "noise_seed": seed})


def test_gaussian_noise():
    difference = noisy("gauss", PHOTO) - PHOTO
    assert abs(difference.mean()) < 0.01
    assert abs(difference.std() - 0.1**0.5) < 0.01


def test_poisson_noise():
    x = np.rint(PHOTO)
    out = noisy("poisson", x)
    steps = 2 ** np.ceil(np.log2(len(np.unique(x))))
    assert_allclose(out * steps, np.rint(out * steps), atol=0.05)
    assert abs(out.mean() - x.mean()) < 0.1
    with pytest.raises(ValueError, match="at least 0"):
        noisy("poisson", x - 300)


@pytest.mark.parametrize("top", [1, 255])
def test_salt_and_pepper(top):
    x = np.full((50, 60, 3), 0.5 * top, np.float32)
    reached = np.zeros(x.shape, bool)
    for seed in range(1500):
        out = noisy("s&p", x, seed)
        changed = out != x
        assert set(np.unique(out[changed])) == {0, top}
        assert changed.sum() <= 2 * np.ceil(0.004 * x.size / 2)
        reached |= changed
    assert all(part.any() for part in (reached[-1], reached[:, -1], reached[..., 2]))
    assert reached.mean() > 0.98
    assert_array_equal(noisy("s&p", np.ones((1, 1, 1), np.float32)) >= 0, True)


def test_speckle_noise():
    x = PHOTO.copy()
    x[:9] = 0
    out = noisy("speckle", x)
    assert not out[:9].any()
    ratio = ((out - x) / np.where(x == 0, np.nan, x))[x > 0]
    assert abs(ratio.mean()) < 0.02
    assert abs(ratio.var() - 1) < 0.02
    assert abs(ratio).max() < 3**0.5 + 1e-3


# Normalisation.

BATCH = np.random.default_rng(0).normal(120, 30, (60, 4, 5, 3)).astype(np.float32)
NORMALISING = [
    {"rescale": 1 / 255},
    {"samplewise_center": True},
    {"samplewise_center": True, "samplewise_std_normalization": True},
    {"featurewise_center": True},
    {"featurewise_center": True, "featurewise_std_normalization": True, "rescale": 2},
    {"featurewise_center": True, "samplewise_center": True, "rescale": 1 / 255},
]


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("options", NORMALISING, ids=str)
def test_standardize_and_fit_as_in_keras(options, layout):
    batch = BATCH if layout == "channels_last" else np.moveaxis(BATCH, -1, 1).copy()
    ours = ParallelImageDataGenerator(**options, data_format=layout)
    theirs = ImageDataGenerator(**options, data_format=layout)
    before = batch.copy()
    ours.fit(batch)
    theirs.fit(batch)
    assert_array_equal(batch, before)
    for name in ("mean", "std"):
        expected = getattr(theirs, name)
        assert (expected is None) == (getattr(ours, name) is None)
        if expected is not None:
            assert_allclose(getattr(ours, name), expected, rtol=1e-5)
    for x in (batch[0], batch[:7]):
        assert_allclose(
            ours.standardize(x.copy()), theirs.standardize(x.copy()), rtol=1e-4, atol=1e-4
        )


def test_standardize_works_in_place():
    generator = ParallelImageDataGenerator(rescale=0.5, samplewise_center=True)
    x = BATCH[0].copy()
    assert generator.standardize(x) is x
    assert_allclose(x, BATCH[0] / 2 - (BATCH[0] / 2).mean(), atol=1e-4)
    with pytest.raises(TypeError):
        ParallelImageDataGenerator(rescale=0.5).standardize(BATCH[0].astype(np.uint8))
    flat = np.full((4, 4, 3), 7, np.float32)
    both = ParallelImageDataGenerator(samplewise_center=True, samplewise_std_normalization=True)
    assert_array_equal(both.standardize(flat), np.zeros((4, 4, 3)))


def test_whitening():
    rng = np.random.default_rng(1)
    mixed = (rng.normal(0, 1, (400, 12)) @ rng.normal(0, 1, (12, 12))).astype(np.float32)
    x = mixed.reshape(400, 2, 2, 3)
    ours = ParallelImageDataGenerator(featurewise_center=True, zca_whitening=True, dtype="float64")
    theirs = ImageDataGenerator(featurewise_center=True, zca_whitening=True, dtype="float64")
    ours.fit(x)
    theirs.fit(x)
    assert ours.zca_whitening_matrix.shape == (12, 12)
    assert_allclose(ours.zca_whitening_matrix, theirs.principal_components, rtol=1e-2, atol=1e-3)
    white = ours.standardize(x.astype(float)).reshape(400, 12)
    assert_allclose(white.T @ white / 400, np.eye(12), atol=0.01)


def test_whitening_takes_what_samples_differ_in():
    x = np.random.default_rng(1).random((12, 16, 16, 3)).astype(np.float32)
    x[-1] = x[0]  # so that one direction is not there
    generator = ParallelImageDataGenerator(featurewise_center=True, zca_whitening=True)
    generator.fit(x)
    matrix = generator.zca_whitening_matrix
    assert (matrix.shape, matrix.dtype, np.asarray(matrix).shape) == ((768, 768), "f4", (768, 768))
    assert len(pickle.dumps(matrix)) < 12 * 768 * 4
    white = generator.standardize(x.copy()).reshape(12, -1)
    assert_allclose(white, (x - generator.mean).reshape(12, -1) @ np.asarray(matrix), atol=1e-3)
    assert_allclose(np.sort(np.linalg.eigvalsh(white @ white.T / 12))[1:], 1, rtol=1e-2)
    others = generator.standardize(np.random.default_rng(2).random((12, 16, 16, 3)))
    assert np.abs(others).max() < 10


def test_fit_on_augmented_samples():
    options = {"featurewise_center": True, "featurewise_std_normalization": True}
    means = []
    for seed in (1, 1, 2):
        generator = ParallelImageDataGenerator(**options, channel_shift_range=50)
        generator.fit(BATCH, augment=True, rounds=2, seed=seed)
        means.append(generator.mean)
    assert means[0].shape == (1, 1, 3)
    assert_array_equal(means[0], means[1])
    assert np.all(means[0] != means[2])
    with pytest.raises(ValueError, match="rank 4"):
        generator.fit(BATCH[0])
    with pytest.warns(UserWarning, match="5 channels"):
        ParallelImageDataGenerator().fit(np.zeros((2, 4, 4, 5)))


def test_what_is_not_fitted_warns_and_is_left_out():
    generator = ParallelImageDataGenerator(featurewise_center=True)
    with pytest.warns(UserWarning, match="fit"):
        assert_array_equal(generator.standardize(BATCH.copy()), BATCH)


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"featurewise_std_normalization": True}, "featurewise_center", True),
        ({"samplewise_std_normalization": True}, "samplewise_center", True),
        ({"zca_whitening": True}, "featurewise_center", True),
        (
            {
                "zca_whitening": True,
                "featurewise_center": True,
                "featurewise_std_normalization": True,
            },
            "featurewise_std_normalization",
            False,
        ),
    ],
    ids=str,
)
def test_settings_that_imply_others(options, name, value):
    with pytest.warns(UserWarning, match=name) as caught:
        assert getattr(ParallelImageDataGenerator(**options), name) is value
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"brightness_range": 0.5}, "brightness_range"),
        ({"contrast_range": (1, 2, 3)}, "contrast_range"),
        ({"zoom_range": (1, 2, 3)}, "zoom_range"),
        ({"zoom_range": "wide"}, "zoom_range"),
        ({"rotation_range": np.inf}, "rotation_range must be a finite number, got inf"),
        ({"shear_range": "wide"}, "shear_range must be a finite number, got 'wide'"),
        ({"channel_shift_range": [1, 2]}, "channel_shift_range"),
        ({"cval": np.nan}, "cval"),
        ({"brightness_range": (np.nan, 1)}, "brightness_range"),
        ({"width_shift_range": "wide"}, "width_shift_range must be numbers, got 'wide'"),
        ({"height_shift_range": [1, np.inf]}, "height_shift_range"),
        ({"fill_mode": "mirrored"}, "fill_mode.*mirrored"),
        ({"interpolation_order": 6}, "interpolation_order"),
        ({"noise": ["gauss", "rain"]}, "rain"),
        ({"data_format": "channels"}, "data_format"),
        ({"validation_split": 1.0}, "validation_split"),
        ({"validation_split": 5}, "validation_split"),
        ({"validation_split": -0.1}, "validation_split"),
        ({"cores": 1.5}, "cores"),
        ({"cores": 0.0}, "cores"),
        ({"max_batches_pending": 0}, "max_batches_pending"),
        ({"on_error": "ignore"}, "on_error"),
    ],
    ids=str,
)
def test_settings_are_checked_at_once(options, match):
    with pytest.raises(ValueError, match=match):
        ParallelImageDataGenerator(**options)


def test_functions_are_checked_at_once():
    with pytest.raises(TypeError, match="preprocessing_function"):
        ParallelImageDataGenerator(preprocessing_function="crop")
    with pytest.raises(TypeError, match="augseq"):
        ParallelImageDataGenerator(augmenter=5)
    with pytest.raises(TypeError, match="nosuch"):
        ParallelImageDataGenerator(nosuch=1)


def test_settings_may_be_set_later():
    generator = ParallelImageDataGenerator(featurewise_center=True)
    generator.mean, generator.rescale = np.float32(10), 2
    assert_array_equal(generator.standardize(BATCH.copy()), BATCH * 2 - 10)
    generator.mean = np.float32(20)
    assert_array_equal(generator.standardize(BATCH.copy()), BATCH * 2 - 20)
    generator.rotation_range = 90
    assert len({generator.get_random_transform((8, 8, 3))["theta"] for _ in range(9)}) == 9
    generator.fill_mode = "mirrored"
    with pytest.raises(ValueError, match="fill_mode"):
        generator.random_transform(PHOTO)
