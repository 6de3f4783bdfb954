"""imgaug's augmenters give what imgaug 0.4.0 gave on NumPy 1.26: see golden/record.py."""

from __future__ import annotations

import inspect
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from golden import cases, load
from imgaug_kind import IS_IMAUG, without_prefetching

HERE = Path(__file__).parent

record = load("record")
GOLDEN = record.recorded()
PICTURES = GOLDEN["pictures"]
UNCHANGED = cases.arrays(cases.annotated(PICTURES), "_unaug")
NOW, THEN = record.versions(), list(GOLDEN["versions"])

# What changed underneath imgaug: at most so many levels, on at most this fraction of the values.
# The same in docs/imgaug.md. Names with a colon are cases of their own in golden/cases.py.
NUMPY_2 = {
    (1, 0.001): "weather.CloudLayer weather.Clouds weather.Fog blend.BlendAlphaFrequencyNoise",
}
OTHER_LIBRARIES = {
    (1, 0.4): "artistic.Cartoon color.WithColorspace color.WithBrightnessChannels "
    "color.MultiplyAndAddToBrightness color.MultiplyBrightness color.AddToBrightness "
    "color.WithHueAndSaturation color.MultiplyHueAndSaturation color.MultiplyHue "
    "color.MultiplySaturation color.RemoveSaturation color.AddToHueAndSaturation color.AddToHue "
    "color.AddToSaturation",
    (5, 0.35): "geometric.Affine geometric.ScaleX geometric.ScaleY geometric.TranslateX "
    "geometric.TranslateY geometric.Rotate geometric.ShearX geometric.ShearY geometric.AffineCv2 "
    "geometric.PerspectiveTransform",
    (255, 0.01): "geometric.Rotate:nearest",
    (1, 0.005): "geometric.ElasticTransformation",
    (2, 0.01): "geometric.PiecewiseAffine",
    (2, 0.2): "blur.MotionBlur",
    (24, 0.1): "weather.SnowflakesLayer weather.Snowflakes",
    (3, 0.35): "weather.RainLayer weather.Rain",
}
# What the fork imaug computes in another way; the rest is the same there.
OF_IMAUG = (
    "arithmetic.Multiply arithmetic.MultiplyElementwise blend.BlendAlphaMask "
    "blend.BlendAlphaElementwise blend.BlendAlphaSimplexNoise blend.BlendAlphaFrequencyNoise "
    "blend.BlendAlphaSomeColors blend.BlendAlphaHorizontalLinearGradient "
    "blend.BlendAlphaVerticalLinearGradient color.MultiplyAndAddToBrightness "
    "color.MultiplyBrightness geometric.Affine geometric.ShearX geometric.ShearY "
    "geometric.ElasticTransformation pillike.Affine pooling.AveragePooling "
    "segmentation.Superpixels weather.CloudLayer weather.Clouds weather.Fog "
    "weather.SnowflakesLayer weather.Snowflakes weather.RainLayer weather.Rain"
)
COORDINATES, HEATMAPS, HEATMAPS_MOVED = 1e-4, 1e-6, 0.03


def tolerance(name):
    """Levels and fraction that may differ here from what was recorded, and whether any may."""
    tables = {}
    if THEN[-1] != NOW[-1]:
        tables |= NUMPY_2
    if THEN[:-1] != NOW[:-1]:
        tables |= OTHER_LIBRARIES
    for limits, names in tables.items():
        if name in names.split() or name.partition(":")[0] in names.split():
            return limits
    return (0, 0.0)


def quietly(function, *args):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "AffineCv2 is deprecated")
        with without_prefetching():
            return function(*args)


def assert_close(kind, value, expected, levels, fraction):
    assert value.dtype == expected.dtype
    assert value.shape == expected.shape
    differences = np.abs(value.astype(np.float64) - expected)
    if kind in cases.COORDINATES:
        assert differences.max(initial=0) <= (0 if THEN == NOW else COORDINATES)
    elif kind == "heatmaps":
        limit = 0 if THEN == NOW else HEATMAPS_MOVED if levels else HEATMAPS
        assert differences.max(initial=0) <= limit
    else:
        assert differences.max(initial=0) <= levels
        assert (differences > 0).mean() <= fraction


@pytest.mark.parametrize("name", cases.ALL)
def test_same_as_imgaug_on_numpy_1(name):
    if IS_IMAUG and name.partition(":")[0] in OF_IMAUG.split():
        pytest.skip("imaug has numbers of its own here")
    out = quietly(cases.run, name, PICTURES)
    recorded = {key.partition("/")[2] for key in GOLDEN if key.startswith(name + "/")}
    assert recorded <= out.keys()
    for what, value in out.items():
        expected = GOLDEN.get(f"{name}/{what}", UNCHANGED.get(what))
        assert_close(what.split()[0], value, expected, *tolerance(name))


# Upstream converts arrays in place and then blends the result with itself.
ANOTHER_WITH_LISTS = {"color.ChangeColorspace"}
# Their functions have no home that pickle could name.
NOT_PICKLABLE = {"meta.Lambda", "meta.AssertLambda"}


@pytest.mark.parametrize("module", {name.partition(".")[0]: None for name in cases.ALL})
def test_one_picture_a_list_and_a_pickled_augmenter(module):
    for name in (name for name in cases.ALL if name.startswith(module + ".")):
        assert quietly(cases.run, name, PICTURES[:1]).keys() >= {"images 0"}
        expected = quietly(cases.run, name, PICTURES)
        if name not in ANOTHER_WITH_LISTS:
            assert_same(quietly(cases.run, name, list(PICTURES)), expected, name)
        if name not in NOT_PICKLABLE:
            assert_same(quietly(cases.run, name, PICTURES, pickled), expected, name)


def assert_same(out, expected, name):
    assert out.keys() == expected.keys()
    for key, value in out.items():
        np.testing.assert_array_equal(value, expected[key], f"{name}: {key}")


def pickled(augmenter):
    return pickle.loads(pickle.dumps(augmenter))


@pytest.mark.parametrize("name", cases.CORRUPTIONS)
def test_corruptions(name):
    pytest.importorskip("imagecorruptions")
    assert_same(cases.run(name, PICTURES), cases.run(name, PICTURES), name)


def test_every_augmenter_is_here():
    import imgaug.augmenters as iaa

    found = set()
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("imgaug.augmenters."):
            found |= {
                f"{module_name.rpartition('.')[2]}.{name}"
                for name, value in vars(module).items()
                if inspect.isclass(value)
                and issubclass(value, iaa.Augmenter)
                and value.__module__ == module_name
                and not name.startswith("_")
                and not inspect.isabstract(value)
            }
    assert len(found) > 150
    assert found == {name.partition(":")[0] for name in cases.ALL | cases.CORRUPTIONS}


def test_the_table_is_in_the_docs():
    docs = (HERE.parents[1] / "docs/imgaug.md").read_text("utf-8")
    rows = [line for line in docs.splitlines() if line.startswith("|")]
    for (levels, fraction), names in (NUMPY_2 | OTHER_LIBRARIES).items():
        figures = f"| {levels} | {fraction * 100:g} % |"
        (row,) = [row for row in rows if figures in row]
        assert all(in_docs(name) in row for name in names.split())
    assert all(in_docs(name) in docs.partition("## imaug")[2] for name in OF_IMAUG.split())


def in_docs(name):
    return f"`{name.partition('.')[2].partition(':')[0]}`"
