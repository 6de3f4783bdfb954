"""The forms that a batch may have, and how each becomes an imgaug batch and back.

`Batch` and `UnnormalizedBatch` pass as they are. An array (N,H,W,C) or (N,H,W), a list of
arrays (H,W,C) or (H,W), or a list of one of imgaug's `...OnImage` objects goes in as a column
of its own and comes back in the same form. So do batches of several parts, see `compound`.
A class with `__augment__(augment_batch)` does this itself: it makes an imgaug batch, calls the
function with it, and returns a copy with the results. If it has `__for_augmenter__(augmenter)`,
too, what that returns takes its place. `register_form` teaches other classes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from .._transport import room
from . import arrays, compound


class RegisteredForm(NamedTuple):
    """How objects of a class become a batch that is known, and back."""

    to_batch: Callable[[Any], Any]
    from_batch: Callable[[Any, Any], Any]


class PointsForm(NamedTuple):
    """The class that imgaug has for the points of an image, and its ways from and to an array."""

    kind: str
    numbers: int
    from_array: str
    to_array: str


_POINTS = {
    "keypoints": PointsForm("KeypointsOnImage", 2, "from_xy_array", "to_xy_array"),
    "bounding_boxes": PointsForm("BoundingBoxesOnImage", 4, "from_xyxy_array", "to_xyxy_array"),
}
_registered: dict[type, RegisteredForm] = {}
_OF_LONE_IMAGES = frozenset(("images_unaug", "data"))
_IMGAUGS = "imgaug.augmentables.batches"


def register_form(
    kind: type, to_batch: Callable[[Any], Any], from_batch: Callable[[Any, Any], Any]
) -> None:
    """Have pools take objects of a class as batches, and of its subclasses.

    `to_batch(value)` returns a batch of any other form, `from_batch(value, batch)` what takes the
    place of `value`, given the augmented batch. Both run in the workers, and must not change
    `value`. It counts for pools that are built afterwards; another call for the same class replaces
    the first. Callables in the place of an imgaug augmenter get objects as they are.

    Raises:
        TypeError: `kind` is not a class, or one of the others not callable.
    """
    if not isinstance(kind, type):
        raise TypeError(f"type must be a class, got {kind!r}")
    for name, function in (("to_batch", to_batch), ("from_batch", from_batch)):
        if not callable(function):
            raise TypeError(f"{name} must be callable, got {function!r}")
    _registered[kind] = RegisteredForm(to_batch, from_batch)


def registered_forms() -> dict[type, RegisteredForm]:
    """All that was registered, to be taken to workers."""
    return dict(_registered)


def adopt_forms(forms: Mapping[type, RegisteredForm]) -> None:
    """Register in a worker what its parent had registered."""
    _registered.update(forms)


def is_batch(value: Any) -> bool:
    """Whether `value` is of a class of batches: imgaug's two, and those with `__augment__`."""
    return _knows_how(value) or _is_imgaugs(value)


def check(batch: Any) -> None:
    """Raise `TypeError` or `ValueError` if an imgaug augmenter cannot take `batch`."""
    if _knows_how(batch) or _registered_form(batch) is not None:
        return
    if _is_imgaugs(batch):
        used = [name for name in _augmented(batch) if getattr(batch, name) is not None]
        if used and type(batch).__name__ == "UnnormalizedBatch":
            raise ValueError(f"the batch was augmented already: {', '.join(used)} is set")
    elif compound.is_compound(batch):
        _compound_columns(batch)
    else:
        _column(batch)


def augment(batch: Any, augment_batch: Callable[[Any], Any]) -> Any:
    """Run `augment_batch` of an imgaug batch over one of any form, which stays as it is."""
    form = _registered_form(batch)
    if form is not None:
        return form.from_batch(batch, augment(form.to_batch(batch), augment_batch))

    def augmented(columns: Any) -> Any:
        for name in ("images_unaug", "heatmaps_unaug", "segmentation_maps_unaug"):
            setattr(columns, name, arrays.for_imgaug(getattr(columns, name)))
        return augment_batch(columns)

    check(batch)
    if _knows_how(batch):
        return batch.__augment__(augmented)
    if _is_imgaugs(batch):
        return augmented(copy.copy(batch))
    if compound.is_compound(batch):
        return _augment_compound(batch, augmented)
    if isinstance(batch, list) and not batch:
        return []
    column = _column(batch)
    return _augmented_columns({column: batch}, augmented)[column]


def augment_with(augmenter: Any, batch: Any, *, in_place: bool = False) -> Any:
    """Run an imgaug augmenter over a batch of any form, which stays as it is.

    With `in_place` an array of images may be overwritten, where nothing else has it, and be the
    result: a copy of a large batch takes longer than many augmenters do.
    """
    if hasattr(type(batch), "__for_augmenter__"):
        batch = batch.__for_augmenter__(augmenter)
    lone = _lone_images(batch)
    if lone is None or not _are_normal(lone.images):
        return augment(batch, augmenter.augment_batch_)
    # All other columns, empty here, would be converted too, which takes longer than a small batch.
    from imgaug.augmentables.batches import _BatchInAugmentation
    from imgaug.augmentables.utils import copy_augmentables

    images = lone.images
    if isinstance(images, list):
        # Not in shared memory: imgaug does other things with images that are views.
        images = copy_augmentables(images)
    elif not (in_place and lone.once and images.flags.writeable):
        images = room.copied(images)
    return lone.with_others(augmenter.augment_batch_(_BatchInAugmentation(images=images)).images)


def pass_through(batch: Any) -> None:
    """Have all columns of one of imgaug's batches come out as they went in."""
    for name in [name for name in vars(batch) if name.endswith("_unaug")]:
        setattr(batch, name.replace("_unaug", "_aug"), getattr(batch, name))


def as_input(batch: Any) -> Any:
    """A batch as the next augmenter takes it: of imgaug's batches, what was augmented so far."""
    if not _is_imgaugs(batch):
        return batch
    done = [name for name in _augmented(batch) if getattr(batch, name) is not None]
    following = copy.copy(batch)
    for name in done:
        setattr(following, name.replace("_aug", "_unaug"), getattr(batch, name))
        setattr(following, name, None)
    return following


def with_originals(batch: Any, original: Any) -> Any:
    """A batch that `as_input` was used for, with what there was before the first augmenter."""
    if not _is_imgaugs(batch) or not _is_imgaugs(original):
        return batch
    whole = copy.copy(batch)
    for name in (name for name in vars(original) if name.endswith("_unaug")):
        setattr(whole, name, getattr(original, name))
    return whole


def _augment_compound(batch: Any, augment_batch: Callable[[Any], Any]) -> Any:
    paths = compound.columns_of(batch)
    if not paths:  # all columns are empty
        return copy.copy(batch)
    columns = {name: compound.part_at(batch, path) for name, path in paths.items()}
    augmented = _augmented_columns(columns, augment_batch)
    return compound.with_parts(batch, {paths[name]: augmented[name] for name in paths})


def _augmented_columns(
    columns: dict[str, Any], augment_batch: Callable[[Any], Any]
) -> dict[str, Any]:
    import numpy as np
    from imgaug.augmentables.batches import UnnormalizedBatch

    # imgaug takes one array of the points or boxes of several images, but fails to give it back.
    stacked = [
        name
        for name, value in columns.items()
        if name != "images" and isinstance(value, np.ndarray) and value.ndim == 3
    ]
    lists = {name: _of_images(name, columns[name], columns.get("images")) for name in stacked}
    done = augment_batch(UnnormalizedBatch(**{**columns, **lists}))
    augmented = {name: getattr(done, f"{name}_aug") for name in columns}
    for name in stacked:
        items = augmented[name]
        if items and not isinstance(items[0], np.ndarray):
            arrays_of = (getattr(item, _POINTS[name].to_array)() for item in items)
            items = [array.astype(columns[name].dtype, copy=False) for array in arrays_of]
        same = len({item.shape for item in items}) == 1
        augmented[name] = np.stack(items) if same else items
    return augmented


def _of_images(name: str, value: Any, images: Any) -> list[Any]:
    """The rows of an array of points or boxes, floats as imgaug's objects.

    imgaug makes these of arrays, too, but to find out the dtype of each row takes longer.
    """
    form = _POINTS.get(name)
    if form is None or value.dtype.kind != "f" or value.shape[2] != form.numbers:
        return list(value)
    if images is None or len(images) != len(value):
        return list(value)  # imgaug says what is wrong
    from imgaug import augmentables

    make = getattr(getattr(augmentables, form.kind), form.from_array)
    return [make(row, (*image.shape, 1)[:3]) for row, image in zip(value, images, strict=True)]


def _registered_form(value: Any) -> RegisteredForm | None:
    if not _registered:
        return None
    return next((_registered[base] for base in type(value).__mro__ if base in _registered), None)


def of_image(image: Any, annotations: dict[str, Any]) -> Any:
    """A batch of what imgaug's `augmenter(image=..., ...)` takes.

    Raises `TypeError` or `ValueError` for an array that is no image, and for other annotations.
    """
    import numpy as np
    from imgaug.augmentables.batches import UnnormalizedBatch

    if not isinstance(image, np.ndarray):
        raise TypeError(f"image must be an array, got {type(image).__name__}")
    if image.ndim not in (2, 3):
        raise ValueError(f"image must be (H,W) or (H,W,C), got shape {image.shape}")
    names = tuple(compound.COLUMNS.values())
    strange = [name for name in annotations if name not in names]
    if strange:
        raise TypeError(f"{', '.join(strange)}: annotations are {', '.join(names)}")
    return UnnormalizedBatch(images=[image], **annotations) if annotations else [image]


def image_of(result: Any, annotations: dict[str, Any]) -> Any:
    """What imgaug returns in the place of this augmented batch."""
    if not annotations:
        return result[0]
    return (result.images_aug[0], *(getattr(result, f"{name}_aug") for name in annotations))


def known_bytes(batch: Any) -> int | None:
    """How many bytes a batch of arrays or of bytes has; `None` if that is not seen at a glance."""
    import numpy as np

    if isinstance(batch, np.ndarray):
        return int(batch.nbytes)
    if isinstance(batch, bytes):
        return len(batch)
    if isinstance(batch, list) and all(type(image) is np.ndarray for image in batch):
        return sum(int(image.nbytes) for image in batch)
    return None


class _LoneImages(NamedTuple):
    """The images of a batch in which nothing else is augmented."""

    images: Any
    with_others: Callable[[Any], Any]  # the batch, given other images
    once: bool  # whether nothing else in the batch refers to them


def _lone_images(batch: Any) -> _LoneImages | None:
    """The images, if nothing else is augmented, or what is no image at all; otherwise `None`."""
    if _registered_form(batch) is not None:
        return None
    if _is_imgaugs(batch):
        used = {name for name, value in vars(batch).items() if value is not None}
        if type(batch).__module__ != _IMGAUGS or not used <= _OF_LONE_IMAGES:
            return None
        return _LoneImages(batch.images_unaug, partial(_with_augmented, batch), once=False)
    if compound.is_compound(batch):
        paths = compound.columns_of(batch)
        if paths.keys() != {"images"}:
            return None
        path = paths["images"]
        with_others = partial(_with_part, batch, path)
        return _LoneImages(
            compound.part_at(batch, path), with_others, compound.is_once(batch, path)
        )
    return _LoneImages(batch, _itself, once=True)


def _with_augmented(batch: Any, images: Any) -> Any:
    augmented = copy.copy(batch)
    augmented.images_aug = images
    return augmented


def _with_part(batch: Any, path: compound.Path, images: Any) -> Any:
    return compound.with_parts(batch, {path: images})


def _itself(images: Any) -> Any:
    return images


def _are_normal(images: Any) -> bool:
    """Whether images have the very form in which augmenters hand them on."""
    import numpy as np

    if type(images) is np.ndarray:
        return images.ndim == 4 and arrays.is_plain(images)
    return (
        type(images) is list
        and bool(images)
        and all(type(each) is np.ndarray and each.ndim == 3 for each in images)
        and all(map(arrays.is_plain, images))
    )


def _knows_how(value: Any) -> bool:
    return hasattr(type(value), "__augment__")


def _is_imgaugs(value: Any) -> bool:
    if isinstance(value, (tuple, list, dict)) or hasattr(value, "dtype"):
        return False  # without the import, which takes longer for each batch
    from imgaug.augmentables.batches import Batch, UnnormalizedBatch

    return isinstance(value, (Batch, UnnormalizedBatch))


def _augmented(batch: Any) -> list[str]:
    return [name for name in vars(batch) if name.endswith("_aug")]


def _compound_columns(batch: Any) -> None:
    paths = compound.columns_of(batch)
    if not paths and not _is_empty(batch):
        got = ", ".join(map(repr, batch)) if isinstance(batch, Mapping) else repr(batch)
        names = ", ".join(sorted(compound.NAMES))
        raise TypeError(f"a {type(batch).__name__} must have some of {names}, got {got}")
    if "images" in paths:
        images = compound.part_at(batch, paths["images"])
        if _column(images) != "images":
            raise TypeError(f"images must be arrays, got {type(images[0]).__name__}")


def _is_empty(batch: Any) -> bool:
    """Whether a batch of parts has columns, but nothing in them."""
    if isinstance(batch, Mapping):
        return not compound.NAMES.isdisjoint(batch)
    return isinstance(batch, (tuple, list)) or any(hasattr(batch, name) for name in compound.NAMES)


def _column(batch: Any) -> str:
    """The name of the column that `batch` is, e.g. `images` for an array."""
    import numpy as np

    if isinstance(batch, np.ndarray):
        if batch.ndim not in (3, 4):
            raise ValueError(f"an array must be (N,H,W) or (N,H,W,C), got shape {batch.shape}")
        return "images"
    if not isinstance(batch, list):
        raise TypeError(
            "a batch must be an imgaug Batch or UnnormalizedBatch, an array or a list of arrays, "
            "a tuple, mapping or dataclass of columns, or of a class that register_form was told "
            f"of, got {type(batch).__name__}"
        )
    if not batch:
        return "images"
    names = {_member(item, np.ndarray) for item in batch}
    if len(names) > 1:
        raise TypeError(f"a list must hold items of one kind, got {', '.join(sorted(names))}")
    return names.pop()


def _member(item: Any, array: type) -> str:
    if isinstance(item, array):
        return "images"
    kind = compound.kind_of(item)
    if kind is None:
        raise TypeError(
            f"a list must hold images or imgaug's ...OnImage, got {type(item).__name__}"
        )
    return kind
