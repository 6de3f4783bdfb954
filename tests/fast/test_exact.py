"""The faster forms give imgaug's own bytes, and draw its numbers."""

from __future__ import annotations

import copy
import pickle
import warnings
from itertools import permutations

import aioaug
import aioaug.fast
import cv2
import imgaug as ia
import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np
import pytest
from aioaug._worker.augmentation import Augmentation
from aioaug.fast import draws, tables
from aioaug.fast.calls import AsInImgaug
from aioaug.fast.draws import nearest
from aioaug.fast.replacements import FASTER
from fast_testing import PICTURES, SHAPES, made, noise, outcome
from golden import cases
from imgaug.augmentables.batches import _BatchInAugmentation

MODULES = list(dict.fromkeys(name.partition(".")[0] for name in cases.ALL))
DTYPES = ["bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "int64"]
DTYPES += ["float16", "float32", "float64"]


def assert_same(plain, fast, what=""):
    (expected, *rest), (done, *rest_done) = plain, fast
    assert type(done) is type(expected), (what, done)
    if isinstance(expected, Exception):
        assert str(done) == str(expected), what
        return  # after an error the state is nobody's business
    assert len(done) == len(expected)
    for image, image_expected in zip(done, expected, strict=True):
        assert image.dtype == image_expected.dtype, what
        np.testing.assert_array_equal(image, image_expected, what)
    np.testing.assert_equal(rest_done, rest, what)


@pytest.mark.parametrize("module", MODULES)
def test_photographs_with_labels(module):
    for name in (name for name in cases.ALL if name.startswith(module + ".")):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "AffineCv2 is deprecated")
            expected = cases.run(name, PICTURES)
            done = cases.run(name, PICTURES, aioaug.fast.exact)
        assert done.keys() == expected.keys()
        for key, value in done.items():
            assert value.dtype == expected[key].dtype
            np.testing.assert_array_equal(value, expected[key], f"{name}: {key}")


def faster_cases():
    kinds = {name: type(made(name)) for name in cases.ALL}
    return [name for name, kind in kinds.items() if not issubclass(FASTER[kind], AsInImgaug)]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape):
    images = noise(SHAPES[shape], "uint8")
    for name in faster_cases():
        plain = made(name)
        fast = aioaug.fast.exact(plain)
        assert_same(outcome(plain, images), outcome(fast, images), name)


@pytest.mark.parametrize("shape", ["one pixel", "four values", "odd", "four"])
def test_some_channels(shape):
    """Pictures of some channels have unusual strides, for which OpenCV fails in imgaug, too."""
    images = noise(SHAPES[shape], "uint8")
    for name in faster_cases():
        for channels in ([0], [2, 0]):
            plain = iaa.WithChannels(channels, made(name))
            fast = aioaug.fast.exact(plain)
            expected = outcome(plain, images)
            if not isinstance(expected[0], cv2.error):
                assert_same(expected, outcome(fast, images), f"{name} {channels}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    images = noise((2, 9, 13, 3), dtype)
    for name in faster_cases():
        plain = made(name)
        fast = aioaug.fast.exact(plain)
        assert_same(outcome(plain, images), outcome(fast, images), f"{name} {dtype}")


def turned(array):
    return np.ascontiguousarray(array[..., ::-1, ::-1, :])[..., ::-1, ::-1, :]


def cut_out(array):
    frame = np.zeros((*array.shape[:-3], 40, 50, 3), np.uint8)
    frame[..., 4:24, 3:34, :] = array
    return frame[..., 4:24, 3:34, :]


LAYOUTS = {"C": np.array, "Fortran": np.asfortranarray, "turned": turned, "cut out": cut_out}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("together", [True, False], ids=["array", "list"])
def test_layout_in_memory(layout, together):
    """What comes later may depend on it, in imgaug: `ChangeColorspace` does."""
    images = noise((2, 20, 31, 3), "uint8")

    def done(augmenter):
        laid = LAYOUTS[layout](images) if together else list(map(LAYOUTS[layout], images))
        ia.random.seed(5)
        augmenter.seed_(3)
        return augmenter.augment_batch_(_BatchInAugmentation(images=laid)).images

    need_labels = {"blend.BlendAlphaSegMapClassIds", "blend.BlendAlphaBoundingBoxes"}
    for name in set(faster_cases()) - need_labels:
        plain = made(name)
        expected, faster = done(plain), done(aioaug.fast.exact(plain))
        assert type(expected) is type(faster), name
        for one, other in zip(expected, faster, strict=True):
            np.testing.assert_array_equal(other, one, name)
            assert memory(other) == memory(one), name


def memory(image):
    flags = image.flags
    return flags.c_contiguous, flags.f_contiguous, flags.owndata, flags.writeable


def test_lists_of_mixed_pictures():
    images = [noise(shape, "uint8") for shape in ((5, 7, 3), (40, 9, 3), (1, 1, 3), (6, 6))]
    images += [images[0][::-1, ::-1], images[0], noise((4, 4, 1), "uint8")]
    before = copy.deepcopy(images)
    for name in faster_cases():
        plain = made(name)
        fast = aioaug.fast.exact(plain)
        assert_same(outcome(plain, images), outcome(fast, images), name)
    for image, image_before in zip(images, before, strict=True):
        np.testing.assert_array_equal(image, image_before)


OPTIONS = {
    "Mesh": lambda: iaa.PiecewiseAffine((0.01, 0.3), nb_rows=(2, 5), nb_cols=(2, 4)),
    "Turns of the same size": lambda: iaa.Rot90((-5, 5)),
    "Affine in every way": lambda: iaa.Affine(
        (0.5, 1.5),
        {"x": (-9, 9), "y": (-5, 5)},
        None,
        (-180, 180),
        {"x": (-20, 20)},
        ia.ALL,
        (0, 255),
        ia.ALL,
    ),
    "Affine of whole numbers": lambda: iaa.Affine(2, None, [3, -4], [90, 180], [1, 0], mode="edge"),
    "Affine to another size": lambda: iaa.Affine(rotate=(-30, 30), fit_output=True),
    "Affine that does nothing": lambda: iaa.Affine(rotate=[0, 30]),
    "Perspective": lambda: iaa.PerspectiveTransform((0.01, 0.2), keep_size=False),
    "Perspective to another size": lambda: iaa.PerspectiveTransform((0.01, 0.2), fit_output=True),
    "Perspective of whole pixels": lambda: iaa.PerspectiveTransform([0.0, 0.05, 1.0]),
    "Perspective turned over": lambda: iaa.PerspectiveTransform((0.3, 2.0)),
    "Hues of BGR": lambda: iaa.AddToHueAndSaturation((-99, 99), from_colorspace="BGR"),
    "Hues of YUV": lambda: iaa.AddToHueAndSaturation((-99, 99), from_colorspace="YUV"),
    "Hue alone": lambda: iaa.AddToHue((-255, 255)),
    "Noise around a level": lambda: iaa.AdditiveGaussianNoise((-20, 20), [0, 0.001, 30]),
    "Noise around a constant": lambda: iaa.AdditiveGaussianNoise(7, (0, 30), per_channel=True),
    "Long numbers": lambda: iaa.AddElementwise(iap.Poisson((0, 400)), per_channel=0.5),
    "Numbers far away": lambda: iaa.AddElementwise([-1e12, 1e12, 0.5, -1.5, 2.5]),
    "Hue and saturation as wide numbers": lambda: iaa.WithHueAndSaturation(iaa.Add((-300, 300))),
    "Some channels": lambda: iaa.WithChannels([0], iaa.MultiplyElementwise((0.5, 1.5))),
    "Blend for each channel": lambda: iaa.BlendAlpha((0.0, 1.0), iaa.Invert(1), per_channel=True),
    "Blend by halves": lambda: iaa.BlendAlpha(0.5, iaa.Invert(1)),
    "Blend nothing": lambda: iaa.BlendAlpha([0.0, 1.0, 0.001], iaa.Invert(1)),
    "Gray in part": lambda: iaa.Grayscale((0.0, 1.0)),
    "Average of wide blocks": lambda: iaa.AveragePooling(((1, 3), (2, 7)), keep_size=False),
    "Large matrix": lambda: iaa.Convolve(np.full((21, 21), 1 / 441, np.float32)),
    "Own matrices": lambda: iaa.Convolve(lambda image, n, rng: [np.eye(3) * rng.random(1)] * n),
    "Motion": lambda: iaa.MotionBlur((3, 15)),
    "Dropout for each channel": lambda: iaa.Dropout((0.1, 0.9), per_channel=0.5),
    "Coarse dropout": lambda: iaa.CoarseDropout((0.1, 0.9), size_px=(2, 9), per_channel=0.5),
    "Noise for each channel": lambda: iaa.AdditiveGaussianNoise(scale=(0, 80), per_channel=0.5),
    "Whole numbers": lambda: iaa.AddElementwise((-300, 300), per_channel=0.5),
    "Products of whole numbers": lambda: iaa.MultiplyElementwise(iap.DiscreteUniform(-1, 3)),
    "Products": lambda: iaa.MultiplyElementwise((-0.5, 2.0), per_channel=0.5),
    "Cells of equal distances": lambda: iaa.RegularGridVoronoi((1, 9), 8, 0.0, max_size=None),
    "Cells of many points": lambda: iaa.UniformVoronoi((1, 2000), p_replace=0.5, max_size=None),
    "Medians of odd blocks": lambda: iaa.MedianPooling([1, 3, 5], keep_size=False),
    "Simplex noise of many points": lambda: iaa.BlendAlphaSimplexNoise(
        iaa.Invert(1), size_px_max=(1, 99), upscale_method=ia.ALL
    ),
    "Many superpixels": lambda: iaa.Superpixels((0.0, 1.0), (1, 300)),
    "Motion in whole degrees": lambda: iaa.MotionBlur([3, 6, 9], [0, 90, -45, 33], (-1.0, 1.0)),
    "Motion near a whole level": lambda: iaa.MotionBlur(8, 110.13382, 0.6745097),
    "Motion by any order": lambda: iaa.MotionBlur((3, 15), order=[0, 1, 3]),
    "Motion in any direction": lambda: iaa.MotionBlur([3, 9], direction=iap.Uniform(-3, 3)),
    "Sharpen by whole numbers": lambda: iaa.Sharpen(iap.Choice([0, 1]), iap.Choice([0, 1, 2])),
    "Sharpen too much": lambda: iaa.Sharpen(iap.Deterministic(2)),
    "Emboss by whole numbers": lambda: iaa.Emboss([0.0, 0.4, 1.0], iap.Choice([0, 1, 2])),
    "Few and many are replaced": lambda: iaa.SaltAndPepper([0.001, 0.1, 0.2, 0.9]),
    "Levels of every number": lambda: iaa.UniformColorQuantization((2, 256)),
    "Flip half of them": lambda: iaa.Fliplr(0.5),
    "Little blur and much": lambda: iaa.GaussianBlur([0.0, 0.001, 0.4, 2.0, 9.0]),
    "Resize to one size": lambda: iaa.Resize(
        {"height": 24, "width": "keep-aspect-ratio"}, ["nearest", "linear", "area", "cubic", 1]
    ),
    "Resize by parts": lambda: iaa.Resize((0.5, 2.0), interpolation=ia.ALL),
    "Resize as large": lambda: iaa.Resize({"height": 1.0, "width": "keep"}),
    "Resize one side": lambda: iaa.Resize({"shorter-side": 40, "longer-side": "keep"}),
    "Crop and pad": lambda: iaa.CropAndPad(percent=(-0.4, 0.4), pad_mode=ia.ALL, pad_cval=(0, 255)),
    "Crop all": lambda: iaa.Crop(px=(0, 40)),
    "Crop nothing": lambda: iaa.Crop(px=(0, 3), sample_independently=False),
    "Crop to a size": lambda: iaa.CropToFixedSize(40, 33, position="normal"),
    "Crop the other side": lambda: iaa.CropToFixedSize(9999, 21),
    "Crop the middle": lambda: iaa.CenterCropToFixedSize(31, None),
    "Perspective of the same size": lambda: iaa.PerspectiveTransform(
        (0.01, 0.2), mode=ia.ALL, cval=(0, 255)
    ),
    "Lightness equalized": lambda: iaa.CLAHE((1, 40), (1, 9), 1),
    "Saturation equalized": lambda: iaa.CLAHE(
        4, ([1, 3], [2, 5]), from_colorspace="BGR", to_colorspace="HLS"
    ),
    "Rectangles in parts": lambda: iaa.CoarseDropout(0.3, size_percent=(0.05, 0.5), min_size=1),
    "Rectangles by any method": lambda: iaa.MultiplyElementwise(
        iap.FromLowerResolution(
            iap.Binomial((0.2, 0.8)), size_px=(2, 9), method=iap.Choice(["nearest", "cubic"])
        )
    ),
    "Rectangles of salt and pepper": lambda: iaa.CoarseSaltAndPepper(
        (0.1, 0.6), size_px=(2, 9), per_channel=0.5
    ),
    "Replace by wide numbers": lambda: iaa.ReplaceElementwise(
        0.3, iap.Normal(100, 200), per_channel=0.5
    ),
    "Equalize": lambda: iaa.pillike.Equalize(),
    "Add a number": lambda: iaa.Add(-300),
    "Add whole numbers": lambda: iaa.Add((-255, 255)),
    "Add for each channel": lambda: iaa.Add([-40, 0, 33], per_channel=True),
    "Add fractions": lambda: iaa.Add((-20.0, 20.0), per_channel=0.5),
    "Multiply for each channel": lambda: iaa.Multiply((0.5, 2), per_channel=True),
    "Multiply by a whole number": lambda: iaa.Multiply([0, 1, 2, -1]),
    "Invert for each channel": lambda: iaa.Invert(0.5, per_channel=True),
    "Invert a range": lambda: iaa.Invert(1, min_value=20, max_value=240),
    "Invert below": lambda: iaa.Invert(1, threshold=(0, 255), invert_above_threshold=0.5),
    "Invert below 0": lambda: iaa.Invert(1, threshold=[-10, 256, 300, 0, 255.9]),
    "Gamma for each channel": lambda: iaa.GammaContrast([0.5, 1, 2.0], per_channel=0.5),
    "Sigmoid for each channel": lambda: iaa.SigmoidContrast(per_channel=0.5),
    "Log for each channel": lambda: iaa.LogContrast(per_channel=0.5),
    "Line for each channel": lambda: iaa.LinearContrast((-1, 3), per_channel=0.5),
    "Quantization": lambda: iaa.UniformColorQuantization((2, 256)),
    "Quantization elsewhere": lambda: iaa.UniformColorQuantization(8, to_colorspace=["HSV"]),
    "Quantization of small ones": lambda: iaa.UniformColorQuantization(8, max_size=10),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name):
    plain = OPTIONS[name]()
    fast = aioaug.fast.exact(plain)
    assert type(fast) is FASTER[type(plain)]
    for images in (
        np.tile(PICTURES, (3, 1, 1, 1)),
        PICTURES[..., :1],
        list(PICTURES),
        PICTURES[:1],
    ):
        assert_same(outcome(plain, images), outcome(fast, images), name)


@pytest.mark.parametrize(
    "name", ["Affine in every way", "Affine that does nothing", "Crop all", "Crop nothing"]
)
def test_pictures_that_cannot_be_changed(name):
    """imgaug makes new ones of them; ours change a picture itself where they can."""
    plain = OPTIONS[name]()
    images = PICTURES.copy()
    images.flags.writeable = False

    def done(augmenter):
        augmenter.seed_(3)
        return augmenter.augment_batch_(_BatchInAugmentation(images=images)).images

    np.testing.assert_array_equal(done(aioaug.fast.exact(plain)), done(plain))
    np.testing.assert_array_equal(images, PICTURES)


@pytest.mark.parametrize(
    "name", ["Equalize", "Noise for each channel", "Whole numbers", "Rectangles in parts"]
)
def test_large_pictures(name):
    """Of these, some rows are augmented after the others, or not by Pillow."""
    images = PICTURES.repeat(6, axis=1).repeat(5, axis=2)
    for channels in (3, 1):
        plain = OPTIONS[name]()
        fast = aioaug.fast.exact(plain)
        some = np.ascontiguousarray(images[..., :channels])
        assert_same(outcome(plain, some), outcome(fast, some), name)


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "area"])
def test_simplex_noise_of_any_size(method):
    """OpenCV's cubic interpolation depends on where a row ends."""
    plain = iap.SimplexNoise((2, 16), upscale_method=method)
    holder = iaa.Identity()
    holder.parameter = plain
    fast = aioaug.fast.exact(holder).parameter
    for size in [(20 + width % 7, width) for width in range(1, 120)]:
        for seed in range(2):
            expected, done = (
                parameter.draw_samples(size, random_state=ia.random.RNG(seed))
                for parameter in (plain, fast)
            )
            np.testing.assert_array_equal(done, expected, f"{size} {seed}")


@pytest.mark.parametrize("few", [1, 2, 3, 7, 16, 40])
def test_nearest_places(few):
    """They are OpenCV's, for rows as for columns."""
    numbers = np.arange(few, dtype=np.int32)
    for many in [*range(1, 70), 224, 641]:
        for size, places in (((many, 3), numbers[np.newaxis]), ((3, many), numbers[:, np.newaxis])):
            enlarged = cv2.resize(places, size, interpolation=cv2.INTER_NEAREST)
            found = enlarged[0] if size[0] == many and places.shape[0] == 1 else enlarged[:, 0]
            np.testing.assert_array_equal(nearest(few, many), found, f"{few} {many}")


@pytest.mark.parametrize("name", [name for name in OPTIONS if name.startswith(("Mul", "Gam"))])
def test_tables_without_stringzilla(name, monkeypatch):
    monkeypatch.setattr(tables, "translate", None)
    plain = OPTIONS[name]()
    assert_same(*(outcome(each, PICTURES) for each in (plain, aioaug.fast.exact(plain))), name)


def test_mesh_of_too_many_triangles_for_a_byte():
    plain = iaa.PiecewiseAffine(0.02, nb_rows=13, nb_cols=13, mode="edge")
    assert_same(*(outcome(each, PICTURES[:1]) for each in (plain, aioaug.fast.exact(plain))))


PARAMETERS = {
    "one whole number": lambda: iap.Deterministic(3),
    "one number": lambda: iap.Deterministic(0.3),
    "no number": lambda: iap.Deterministic(float("nan")),
    "too large a number": lambda: iap.Deterministic(2**40),
    "one word": lambda: iap.Deterministic("a"),
    "constants": lambda: iap.Uniform(0.1, 0.7),
    "whole numbers": lambda: iap.Uniform(-3, 2),
    "swapped": lambda: iap.Uniform(2, -3.5),
    "equal": lambda: iap.Uniform(1, 1.0),
    "drawn bounds": lambda: iap.Uniform(iap.Normal(0, 1), 5),
    "dice": lambda: iap.DiscreteUniform(1, 6),
    "swapped dice": lambda: iap.DiscreteUniform(6, 1),
    "one side": lambda: iap.DiscreteUniform(6, 6),
    "huge": lambda: iap.Uniform(0, 2**40),
    "never": lambda: iap.Binomial(0.0),
    "seldom": lambda: iap.Binomial(0.03),
    "half": lambda: iap.Binomial(0.5),
    "often": lambda: iap.Binomial(iap.Uniform(0.5, 1)),
    "always": lambda: iap.Binomial(1.0),
    "no probability": lambda: iap.Binomial(1.5),
    "words": lambda: iap.Choice(["a", "b"]),
    "normal": lambda: iap.Normal(0, 3),
    "normal of any width": lambda: iap.Normal(0.0, (0.0, 3.0)),
    "normal around a number": lambda: iap.Normal(0.1, 3),
    "normal around any number": lambda: iap.Normal((0, 9), 3),
    "normal without width": lambda: iap.Normal(0, [0, 3]),
    "normal of no possible width": lambda: iap.Normal(0, iap.Deterministic(-1)),
    "coarse": lambda: iap.FromLowerResolution(iap.Binomial(0.2), size_px=(2, 20)),
    "salt": lambda: iap.ForceSign(iap.Beta(0.5, 0.5) - 0.5, positive=True, mode="invert") + 0.5,
}


def drawn(parameter, generator, size):
    rng = ia.random.RNG(generator)
    try:
        return [parameter.draw_samples(size, random_state=rng), rng.state]
    except Exception as error:
        return [type(error), str(error)]


def one_drawn(parameter, generator):
    rng = ia.random.RNG(generator)
    try:
        return [parameter.draw_sample(random_state=rng), rng.state]
    except Exception as error:
        return [type(error), str(error)]


@pytest.mark.parametrize("doubt", [draws.DOUBT, 1e-3])
@pytest.mark.parametrize("name", PARAMETERS)
def test_draws(name, doubt, monkeypatch):
    monkeypatch.setattr(draws, "DOUBT", doubt)  # so often that NumPy draws after all
    plain = PARAMETERS[name]()
    holder = iaa.Identity()
    holder.parameter = plain
    fast = aioaug.fast.exact(holder).parameter
    assert type(fast) is FASTER[type(plain)]
    generators = [lambda: 7, lambda: np.random.RandomState(7), lambda: _with_half_a_number(7)]
    for generator in generators:
        for size in ((1, 40, 30, 1), 5, (0,)):
            expected = drawn(plain, generator(), size)
            done = drawn(fast, generator(), size)
            np.testing.assert_equal(done, expected, name)
            assert getattr(done[0], "dtype", None) == getattr(expected[0], "dtype", None)
        expected, done = (one_drawn(parameter, generator()) for parameter in (plain, fast))
        np.testing.assert_equal(done, expected, name)
        assert type(done[0]) is type(expected[0])


@pytest.mark.parametrize("names", [*permutations(["one number", "swapped", "dice", "seldom"], 3)])
def test_numbers_drawn_one_after_the_other(names):
    """As many as a matrix depends on, with the half of a number left over before."""
    plain = [PARAMETERS[name]() for name in names]
    holder = iaa.Identity()
    holder.parameters = plain
    fast = aioaug.fast.exact(holder).parameters
    for generator in (lambda: np.random.RandomState(7), lambda: _with_half_a_number(7)):
        expected, done = (ia.random.RNG(generator()) for _ in range(2))
        numbers = [parameter.draw_sample(random_state=expected) for parameter in plain]
        assert draws.draw_numbers(done, *fast) == numbers
        np.testing.assert_equal(done.state, expected.state)


def _with_half_a_number(seed):
    generator = np.random.Generator(np.random.SFC64(seed))
    generator.integers(0, 9, dtype=np.int32)
    return generator


class Own(iaa.Add):
    """Of a user's; `isinstance` says that it is an `Add`, but it may do anything."""


def nested():
    return iaa.Sequential(
        [
            iaa.Sometimes(0.5, iaa.Add((-9, 9)), iaa.OneOf([iaa.Invert(0.5), Own(3)])),
            iaa.WithColorspace("HSV", children=iaa.WithChannels(0, iaa.Multiply((0.5, 1.5)))),
            iaa.BlendAlphaElementwise((0.0, 1.0), iaa.Solarize(), iaa.SomeOf(1, [iaa.Add(3)])),
        ],
        random_order=True,
    )


def kinds(augmenter):
    return [type(each) for each in augmenter.get_all_children(flat=True)]


def test_nested_trees():
    plain = nested()
    fast = aioaug.fast.exact(plain)
    assert not set(kinds(plain)) & set(FASTER.values())  # the argument is not changed
    assert [FASTER.get(kind, kind) for kind in kinds(plain)] == kinds(fast)
    assert Own in kinds(fast)
    assert str(fast[0]) == str(plain[0])
    images = np.tile(PICTURES, (4, 1, 1, 1))
    for copied in (aioaug.fast.exact, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))):
        pair = []
        for each in (plain, fast):
            ia.random.seed(2)  # the copies have one of the global generator
            pair.append(outcome(copied(each), images))
        assert_same(*pair)


def test_forks_of_imgaug_stay_as_they_are(monkeypatch):
    """They compute otherwise, so our forms would not give their bytes."""
    monkeypatch.setattr(ia, "__version__", "0.4.3")
    assert type(aioaug.fast.exact(iaa.Multiply(2.0))) is iaa.Multiply


def test_forks_of_imgaug_cannot_be_accelerated(monkeypatch):
    monkeypatch.setattr(ia, "__version__", "0.4.3")
    with pytest.raises(TypeError, match=r"this is 0\.4\.3; leave it out"):
        Augmentation(iaa.Multiply(2.0), 1, accelerate=True)
    with pytest.raises(TypeError, match="use aioaug"):
        aioaug.fast.accelerate(iaa.Multiply(2.0))


def test_generators_are_taken_along():
    plain = nested()
    fast = aioaug.fast.exact(plain)
    results = []
    for augmenter in (plain, fast):  # both draw from the global one
        ia.random.seed(4)
        results.append([augmenter(images=PICTURES) for _ in range(2)])
        fixed = augmenter.to_deterministic()
        results[-1] += [fixed(images=PICTURES), fixed(images=PICTURES)]
    np.testing.assert_array_equal(results[0], results[1])
    source = nested().localize_random_state()
    expected, done = (each.copy_random_state(source)(images=PICTURES) for each in (plain, fast))
    np.testing.assert_array_equal(done, expected)


@pytest.mark.parametrize("value", [None, lambda batch: batch, iap.Uniform(0, 1)])
def test_refuses_what_is_not_an_augmenter(value):
    with pytest.raises(TypeError, match="augmenter must be one of imgaug's, got"):
        aioaug.fast.exact(value)


def test_workers_have_faster_forms():
    plain = nested()
    state = Augmentation(plain, 1)
    for worker in (state.clone(), pickle.loads(pickle.dumps(state))):
        assert set(kinds(worker.augmenter)) & set(FASTER.values())
    assert not set(kinds(state.augmenter)) & set(FASTER.values())


@pytest.mark.parametrize("engine", ["inline", "thread"])
async def test_pools_do_not_change_their_argument(engine):
    plain = nested()
    async with aioaug.AsyncPool(plain, seed=1, engine=engine) as pool:
        await pool.map_batches([PICTURES])
    assert not set(kinds(plain)) & set(FASTER.values())


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("mode", ["constant", "edge", "symmetric", "reflect", "wrap"])
def test_affine_of_pictures_that_are_not_small(mode, order):
    images = list(noise((3, 40, 51, 3), "uint8"))
    plain = iaa.Affine(
        (0.5, 1.5), None, (-9, 9), (-180, 180), (-20, 20), order=order, cval=(0, 255), mode=mode
    )
    fast = aioaug.fast.exact(plain)
    for pictures in (images, np.array(images)):
        assert_same(outcome(plain, pictures), outcome(fast, pictures))
