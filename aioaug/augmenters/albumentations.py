"""Albumentations' pipelines in the place of an augmenter, picture by picture.

Nothing is imported for that: who has a pipeline has the library. Its forks, and AlbumentationsX,
call their package and classes by the same names.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .._base.seeding import Seeds, seed_generators
from . import albumentations_columns
from .albumentations_seeding import PipelineSeeding
from .albumentations_steps import PictureSteps, steps_of
from .per_picture import PicturePipeline

_PROCESSORS = {"bounding_boxes": "bboxes", "keypoints": "keypoints"}


class AlbumentationsPipeline(PicturePipeline):
    """Runs a pipeline, seeded for each picture.

    Images, masks (of segmentation maps and heatmaps), boxes and keypoints go in as the pipeline's
    own parameters say. Boxes and points that it drops are missing in the result.
    """

    library = "Albumentations"
    targets = frozenset(("images", *albumentations_columns.TO))

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        self._has_generators = hasattr(pipeline, "set_random_seed")  # version 1.4.19 has none
        self._seeding = PipelineSeeding(pipeline)
        self._steps: PictureSteps | None = steps_of(pipeline)

    def __repr__(self) -> str:
        return f"the pipeline {type(self.pipeline).__name__}"

    def _check_column(self, name: str) -> None:
        super()._check_column(name)
        if name in _PROCESSORS and not self._has_processor(name):
            argument = _PROCESSORS[name].removesuffix("es").removesuffix("s")
            raise ValueError(
                f"the batch has {name}, but the pipeline was not told their format; build it "
                f"as A.Compose(..., {argument}_params=A.{argument.title()}Params(...))"
            )

    def _picture(self, row: dict[str, Any], seed: int) -> dict[str, Any]:
        shape = row["images"].shape
        given = {"image": row["images"]}
        for name, convert in albumentations_columns.TO.items():
            if name in row:
                given |= convert(row[name], self._params(name), shape)
            elif self._has_processor(name):  # it insists on its label fields
                empty = albumentations_columns.empty(name, shape)
                given |= convert(empty, self._params(name), shape)
        got = self._run(given, seed)
        image = got["image"] if got["image"].ndim == 3 else got["image"][..., None]
        result = {"images": image}
        for name, restore in albumentations_columns.FROM.items():
            if name in row:
                result[name] = restore(row[name], got, self._params(name), image.shape)
        return result

    def _has_processor(self, name: str) -> bool:
        return _PROCESSORS.get(name) in getattr(self.pipeline, "processors", {})

    def _params(self, name: str) -> Any:
        """The format and the label fields of boxes or keypoints."""
        key = _PROCESSORS.get(name)
        return None if key is None else self.pipeline.processors[key].params

    def _generators(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._has_generators else super()._generators()

    def _run(self, given: dict[str, Any], seed: int) -> dict[str, Any]:
        if self._has_generators:
            self._seeding.seed(seed)
        else:
            seed_generators(Seeds(seed, seed))
        if self._steps is not None and len(given) == 1:
            return {"image": self._steps(given["image"])}
        got: dict[str, Any] = self.pipeline(**given)
        return got
