"""What a pipeline of Albumentations does to a picture that comes alone: the same bytes, sooner.

`Compose` asks its transforms one after the other. Where there is neither a mask nor a box, they
can be asked without it, and some of them have a faster form.
"""

from __future__ import annotations

from typing import Any

from .albumentations_forms import Form, fits
from .albumentations_releases import PipelineRelease, library_of, release_of


def steps_of(pipeline: Any) -> PictureSteps | None:
    """The steps of a pipeline, or `None` if it does more for a picture than they would."""
    library = library_of(type(pipeline))
    release = release_of(library)
    if release is None or type(pipeline) is not getattr(library, "Compose", None):
        return None
    return PictureSteps(pipeline, release) if release.runs_alone(pipeline) else None


class PictureSteps:
    """`Compose.__call__` of an image alone."""

    def __init__(self, pipeline: Any, release: PipelineRelease) -> None:
        self._pipeline = pipeline
        self._release = release
        self._steps = [Step(each, release) for each in pipeline.transforms]

    def __call__(self, image: Any) -> Any:
        """What the pipeline makes of it."""
        import numpy as np

        if not self._release.takes(image):
            return self._pipeline(image=image)["image"]
        image = np.ascontiguousarray(image)
        call = self._release.begin(self._pipeline)
        if call is not None:
            for step in self._steps:
                image = step(image, call)
        return image


class Step:
    """One transform of a pipeline.

    A form is used when it has once made the same as its transform, of an image with so many
    channels. Another release of OpenCV, or another processor, may round in another way.
    """

    def __init__(self, transform: Any, release: PipelineRelease) -> None:
        self._transform = transform
        self._release = release
        self._form = _form_of(transform, release)
        self._proven: set[int] = set()

    def __call__(self, image: Any, call: Any) -> Any:
        """What the transform makes of an image in a call of the pipeline."""
        import numpy as np

        if self._form is None or not fits(image):
            return self._release.run(self._transform, image, call)
        image = np.ascontiguousarray(image)  # a transform may have given a view, turned or flipped
        if image.shape[2] not in self._proven:
            return self._try(image, call)
        return self._fast(image, call, self._form)

    def _fast(self, image: Any, call: Any, form: Form) -> Any:
        if not self._release.applies(self._transform, call):
            return image
        made = form(self._transform, image, self._release.generators(self._transform, call))
        if made is None:
            self._form = None
            return self._release.run(self._transform, image, call, force=True)
        return made

    def _try(self, image: Any, call: Any) -> Any:
        import numpy as np

        generators = self._release.generators(self._transform, call)
        numpys, pythons = generators.random_generator, generators.py_random
        before = numpys.bit_generator.state, pythons.getstate()
        expected = self._release.run(self._transform, image, call)
        if expected is image or self._form is None:  # as it happens, there was nothing to do
            return expected
        after = numpys.bit_generator.state, pythons.getstate()
        numpys.bit_generator.state = before[0]
        pythons.setstate(before[1])
        made = self._fast(image, call, self._form)
        if np.array_equal(made, expected):
            self._proven.add(image.shape[2])
        else:
            self._form = None
            numpys.bit_generator.state = after[0]
            pythons.setstate(after[1])
        return expected


def _form_of(transform: Any, release: PipelineRelease) -> Form | None:
    """The form for a transform of the library's own, as it made it; an heir may do anything."""
    kind = type(transform)
    name = kind.__name__
    if name not in release.forms or getattr(library_of(kind), name, None) is not kind:
        return None
    changed = any(callable(value) for value in vars(transform).values())
    if changed or transform.replay_mode or transform.deterministic:
        return None
    return release.forms[name]
