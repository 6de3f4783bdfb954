"""Modules of PyTorch, as torchvision's transforms are, in the place of an augmenter.

Nothing is imported for that: who has a module has PyTorch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._base.seeding import Seeds, seed_generators
from .per_picture import PicturePipeline, moved_boxes

_MODULE = ("torch.nn.modules.module", "Module")


def is_torch(augmenter: Any) -> bool:
    """Whether `augmenter` is a module of PyTorch, or one of torchvision's older transforms."""
    return any(
        (base.__module__, base.__name__) == _MODULE
        or base.__module__.startswith("torchvision.transforms.")
        for base in type(augmenter).__mro__
    )


def _tv_tensors() -> Any:
    """torchvision's classes of tensors; a program without it has no boxes and masks for modules."""
    try:
        from torchvision import tv_tensors
    except ImportError as error:
        raise ValueError(
            "modules of PyTorch get masks, boxes and points as torchvision has them, and it is not "
            "installed; give them images alone, or run: pip install 'aioaug[torchvision]'"
        ) from error
    return tv_tensors


def _image_to(image: Any) -> Any:
    import numpy as np
    import torch

    # A copy: the module may work in place.
    tensor = torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))
    return _tv_tensors().Image(tensor) if "torchvision" in sys.modules else tensor


def _image_from(tensor: Any) -> Any:
    import numpy as np

    if getattr(tensor, "ndim", None) != 3 or not hasattr(tensor, "numpy"):
        raise TypeError(
            f"a module must return images as tensors (C,H,W), got {type(tensor).__name__}"
        )
    return np.ascontiguousarray(tensor.detach().cpu().numpy().transpose(1, 2, 0))


def _segmentation_maps_to(maps: Any, shape: Any) -> dict[str, Any]:
    import torch

    array = maps.resize(shape[:2]).get_arr().reshape(*shape[:2], -1)
    return {"mask": _tv_tensors().Mask(torch.from_numpy(array.transpose(2, 0, 1).copy()))}


def _segmentation_maps_from(maps: Any, got: dict[str, Any], shape: Any) -> Any:
    import numpy as np
    from imgaug.augmentables.segmaps import SegmentationMapsOnImage

    array = got["mask"].numpy().transpose(1, 2, 0).astype(np.int32)
    return SegmentationMapsOnImage(np.ascontiguousarray(array), shape=shape)


def _heatmaps_to(maps: Any, shape: Any) -> dict[str, Any]:
    import torch

    array = maps.resize(shape[:2]).arr_0to1
    return {"heatmap": _tv_tensors().Mask(torch.from_numpy(array.transpose(2, 0, 1).copy()))}


def _heatmaps_from(maps: Any, got: dict[str, Any], shape: Any) -> Any:
    import numpy as np
    from imgaug.augmentables.heatmaps import HeatmapsOnImage

    array = np.ascontiguousarray(got["heatmap"].numpy().transpose(1, 2, 0))
    return HeatmapsOnImage.from_0to1(array, shape, maps.min_value, maps.max_value)


def _boxes_to(boxes: Any, shape: Any) -> dict[str, Any]:
    import numpy as np
    import torch

    corners = torch.from_numpy(boxes.to_xyxy_array(np.float32).reshape(-1, 4))
    kept = _tv_tensors().BoundingBoxes(corners, format="XYXY", canvas_size=shape[:2])
    return {"boxes": kept, "labels": torch.arange(len(corners))}


def _boxes_from(boxes: Any, got: dict[str, Any], shape: Any) -> Any:
    return moved_boxes(boxes, got["boxes"], got["labels"], shape)


def _points_to(points: Any, shape: Any) -> dict[str, Any]:
    import numpy as np
    import torch

    kind = getattr(_tv_tensors(), "KeyPoints", None)
    if kind is None:
        raise ValueError("torchvision has keypoints since its version 0.23; install a newer one")
    places = torch.from_numpy(points.to_xy_array().astype(np.float32).reshape(-1, 2))
    return {"keypoints": kind(places, canvas_size=shape[:2])}


def _points_from(points: Any, got: dict[str, Any], shape: Any) -> Any:
    from imgaug.augmentables.kps import KeypointsOnImage

    return KeypointsOnImage.from_xy_array(got["keypoints"].numpy(), shape)


_TO = {
    "segmentation_maps": _segmentation_maps_to,
    "heatmaps": _heatmaps_to,
    "bounding_boxes": _boxes_to,
    "keypoints": _points_to,
}
_FROM = {
    "segmentation_maps": _segmentation_maps_from,
    "heatmaps": _heatmaps_from,
    "bounding_boxes": _boxes_from,
    "keypoints": _points_from,
}


class TorchModule(PicturePipeline):
    """Runs a module, seeded for each picture.

    It gets the picture alone, a tensor (C,H,W), or if the batch has more a dict of torchvision's
    `tv_tensors`: `image`, `mask`, `heatmap`, `boxes`, `keypoints`, and `labels`, which are the
    numbers of the boxes, so that those it drops are missing in the result.
    """

    library = "torchvision"
    targets = frozenset(("images", *_TO))

    def __init__(self, module: Any) -> None:
        self.module = module

    def __repr__(self) -> str:
        return f"the module {type(self.module).__name__}"

    @contextmanager
    def _generators(self) -> Iterator[None]:
        import torch

        with super()._generators(), torch.random.fork_rng(devices=[]), torch.no_grad():
            yield

    def _picture(self, row: dict[str, Any], seed: int) -> dict[str, Any]:
        import torch

        sample = {"image": _image_to(row["images"])}
        # In one order everywhere: that of a set would differ from worker to worker.
        beside = [name for name in _TO if name in row]
        for name in beside:
            sample |= _TO[name](row[name], row["images"].shape)
        seed_generators(Seeds(seed, seed))
        torch.manual_seed(seed)
        got = self.module(sample if len(sample) > 1 else sample["image"])
        if len(sample) == 1:
            got = {"image": got}
        image = _image_from(got["image"])
        result = {"images": image}
        for name in beside:
            result[name] = _FROM[name](row[name], got, image.shape)
        return result
