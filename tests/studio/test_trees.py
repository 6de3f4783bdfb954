"""Pipelines as data: every augmenter of imgaug, checks of what the page sends, and the way back."""

import inspect
import json
import warnings
from contextlib import suppress

import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np
import pytest
from aioaug._worker.augmentation import Augmentation
from aioaug.augmenters.presets import PRESETS
from aioaug.studio import limits
from aioaug.studio.catalog import augmenter_classes, catalog
from aioaug.studio.describing import alike, describe, noting_arguments
from aioaug.studio.trees import all_augmenters, build, check_tree, nodes_of, source
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skimage import data as pictures
from studio_testing import node, simple

PICTURE = pictures.chelsea()[:64, :80].copy()


def no_given(name):
    raise AssertionError(name)


def start_node(kind):
    """An augmenter as the page adds it."""
    parameters = {each.name: each.start for each in kind.parameters if each.required}
    inner = [node("Add", value=20)]
    return {**node(kind.name, **parameters), "children": dict.fromkeys(kind.children, inner)}


def augmented(augmenter, index=3, seed=7):
    with warnings.catch_warnings(action="ignore"):
        return Augmentation(augmenter, seed, owns_interpreter=True).clone()(index, [PICTURE])[0]


def test_every_augmenter_is_in_the_catalog_or_left_out_for_a_reason():
    base = iaa.Augmenter
    every = {
        name
        for name, thing in vars(iaa).items()
        if inspect.isclass(thing) and issubclass(thing, base)
    }
    assert every - set(catalog()) == set(limits.LEFT_OUT)
    assert {"pillike.Autocontrast", "pillike.EnhanceColor"} <= set(catalog())


def test_each_of_them_can_be_built_as_the_page_adds_it():
    for kind in catalog().values():
        tree = check_tree(start_node(kind), {})
        json.dumps(kind.as_json(), allow_nan=False)
        with warnings.catch_warnings(action="ignore"):
            assert type(build(tree, no_given)) is augmenter_classes()[kind.name]


@pytest.mark.parametrize(
    "name", ["Add", "Affine", "Jigsaw", "Rot90", "Fliplr", "MotionBlur", "GaussianBlur", "CLAHE"]
)
def test_sliders_end_where_imgaug_accepts_what_they_say(name):
    kind = catalog()[name]
    for parameter in kind.parameters:
        for end in (parameter.low, parameter.high):
            value = int(end) if parameter.whole else end
            if isinstance(parameter.start, (dict, int, float)) and parameter.start is not True:
                parameter.check(value, name)


def test_ranges_are_those_that_imgaug_checks():
    known = {each.name: each for each in catalog()["Fliplr"].parameters}
    assert (known["p"].least, known["p"].most) == (0, 1)
    known = {each.name: each for each in catalog()["Jigsaw"].parameters}
    assert known["nb_rows"].least == 1
    assert known["nb_rows"].whole
    known = {each.name: each for each in catalog()["Affine"].parameters}
    assert not known["rotate"].whole
    assert known["mode"].options == ("constant", "edge", "symmetric", "reflect", "wrap")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_described_as_a_whole_and_make_the_same_pixels(name):
    with noting_arguments() as noted:
        pipeline = PRESETS[name]()
    tree = json.loads(json.dumps(describe(pipeline, name, noted)))
    assert not any("given" in each for each in nodes_of(tree))
    check_tree(tree, {})
    built = build(tree, no_given)
    written = eval(source(tree, no_given), {"iaa": iaa, "iap": iap})
    assert alike(built, pipeline)
    expected = augmented(pipeline)
    np.testing.assert_array_equal(augmented(built), expected)
    np.testing.assert_array_equal(augmented(written), expected)
    assert (expected != PICTURE).any() or name in ("light", "weather")


def test_noting_leaves_imgaug_as_it_was():
    classes = list(augmenter_classes().values())
    before = [thing.__dict__.get("__init__") for thing in classes]
    with pytest.raises(KeyError), noting_arguments() as noted:
        made = iaa.Add(value=3)
        assert noted.of(made) == {"value": 3}
        raise KeyError
    assert [thing.__dict__.get("__init__") for thing in classes] == before
    later = iaa.Add(3)
    assert noted.of(later) is None


def described(pipeline_of):
    with noting_arguments() as noted:
        pipeline = pipeline_of()
    return pipeline, describe(pipeline, "mine", noted)


def _changed():
    made = iaa.Fliplr(0.5)
    made.p = iap.Binomial(0.25)
    return made


def _longer():
    made = iaa.Sequential([iaa.Fliplr(0.5)])
    made.append(iaa.Add(3))
    return made


class Own(iaa.Fliplr):
    pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: iaa.Lambda(func_images=lambda images, *_: images),
        lambda: Own(0.5),
        lambda: iaa.Fliplr(0.5, seed=3),
        lambda: iaa.Add(np.int64(3)),
        lambda: iaa.BlendAlphaMask(iaa.SomeColorsMaskGen(), iaa.Add(3)),
        _changed,
    ],
)
def test_what_cannot_be_described_stays_as_it_is(make):
    pipeline, tree = described(lambda: iaa.Sequential([iaa.Add(1), make(), iaa.Add(2)]))
    first, opaque, last = tree["children"]["children"]
    assert (first["name"], last["name"]) == ("Add", "Add")
    assert (opaque["given"], opaque["place"]) == ("mine", 2)
    assert check_tree(tree, {"mine": len(all_augmenters(pipeline))}) is tree
    built = build(tree, lambda _: pipeline)
    assert built[1] is pipeline[1]
    np.testing.assert_array_equal(augmented(built), augmented(pipeline))


def test_a_list_that_was_changed_after_it_was_built_is_opaque():
    pipeline, tree = described(_longer)
    assert tree == {"given": "mine", "place": 0, "title": "Sequential"}
    assert build(tree, lambda _: pipeline) is pipeline


def test_parameters_of_imgaug_are_described():
    pipeline, tree = described(
        lambda: iaa.Affine(
            rotate=iap.Clip(iap.Normal(0, 10), -20, 20), scale={"x": (0.8, 1.2), "y": [1, 2]}
        )
    )
    assert tree["parameters"]["rotate"]["parameter"] == "Clip"
    assert source(tree, no_given) == (
        "iaa.Affine(\n"
        "    scale={'x': (0.8, 1.2), 'y': [1, 2]},\n"
        "    rotate=iap.Clip(other_param=iap.Normal(loc=0, scale=10), minval=-20, maxval=20),\n"
        ")"
    )
    np.testing.assert_array_equal(augmented(build(tree, no_given)), augmented(pipeline))


def test_a_child_alone_is_not_a_list_of_it():
    pipeline, tree = described(lambda: iaa.Sometimes(1.0, iaa.OneOf([iaa.Add(50), iaa.Add(90)])))
    assert tree["alone"] == ["then_list"]
    np.testing.assert_array_equal(augmented(build(tree, no_given)), augmented(pipeline))


def test_nodes_that_are_off_are_left_out():
    tree = simple(node("Add", value=50), {**node("Add", value=7), "off": True})
    check_tree(tree, {})
    assert len(build(tree, no_given)) == 1
    assert source(tree, no_given).count("iaa.Add") == 1


def _deep(depth):
    tree = node("Add")
    for _ in range(depth):
        tree = simple(tree)
    return tree


BAD = {
    "no augmenter": (node("os.system"), "no augmenter 'os.system'"),
    "left out": (node("Lambda"), "no augmenter 'Lambda'"),
    "writes files": (node("SaveDebugImageEveryNBatches"), "no augmenter"),
    "parameter": (node("Add", amount=1), "no parameter 'amount'"),
    "seed": (node("Add", seed=1), "no parameter 'seed'"),
    "too large": (node("PadToFixedSize", width=1e5, height=3), "from -2048 to 2048|from 0 to 2048"),
    "below imgaug's": (node("Fliplr", p=1.5), "from 0 to 1"),
    "not finite": (node("Add", value=float("nan")), "must be a number"),
    "text": (node("Affine", mode="__import__('os')"), "does not take"),
    "text for a number": (node("Add", value="3"), "does not take '3'"),
    "object": (node("Add", value={"eval": "1"}), "must be a number, text"),
    "two keys": (node("Add", value={"tuple": [1, 2], "dict": {}}), "must be a number, text"),
    "key": (node("Affine", scale={"dict": {"__class__": 1}}), "has a key '__class__'"),
    "parameter class": (
        node("Add", value={"parameter": "open", "arguments": {}}),
        "no parameter 'open'",
    ),
    "parameter argument": (
        node("Add", value={"parameter": "Normal", "arguments": {"x": 1}}),
        "no argument 'x'",
    ),
    "empty list": (node("Add", value=[]), "must have 1 to 64 values"),
    "long list": (node("Add", value=[1] * 65), "must have 1 to 64 values"),
    "children": ({**node("Add"), "children": {"children": []}}, "no list of augmenters"),
    "no list": ({**node("Sequential"), "children": {"children": 3}}, "no list of augmenters"),
    "alone": ({**node("Add"), "alone": ["x"]}, "alone must be"),
    "member": ({**node("Add"), "code": "1"}, "must be an object"),
    "nothing": (3, "must be an object"),
    "given": ({"given": "other", "place": 0}, "no pipeline here is called 'other'"),
    "place": ({"given": "mine", "place": 4}, "no augmenter at place 4"),
    "negative": ({"given": "mine", "place": -1}, "no augmenter at place -1"),
    "many": (simple(*[node("Add")] * 64), "has 65 augmenters"),
    "deep": (_deep(9), "nested more than 8"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_trees_are_refused_with_the_reason(name):
    tree, why = BAD[name]
    with pytest.raises(ValueError, match=why):
        check_tree(tree, {"mine": 4})


def test_what_imgaug_does_not_accept_is_an_error_of_the_argument():
    tree = check_tree(node("Affine", rotate={"tuple": [1, 2, 3]}), {})
    with pytest.raises(ValueError, match="Affine cannot be made like this"):
        build(tree, no_given)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "parameters", "children", "given", "place", "tuple", "dict", "value",
                 "parameter", "arguments", "off", "alone", "then_list"]
            ),
            inner | st.sampled_from(["Add", "Sometimes", "Affine", "mine", "Normal"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(json_values)
def test_any_json_is_a_tree_or_a_value_error(tree):
    with suppress(ValueError):
        assert check_tree(tree, {"mine": 4}) is tree
        assert isinstance(tree, dict)
