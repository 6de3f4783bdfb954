"""What differs between the releases of Albumentations that pipelines are run faster for.

In 2.0, each transform draws from generators of its own. In AlbumentationsX, a call has one pair of
them, and whatever runs in it draws from these.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from .._base.optional import need
from .albumentations_forms import FORMS, X_FORMS, Form

_CLASSES = frozenset(("BaseCompose", "BasicTransform"))


class PipelineRelease(ABC):
    """How releases run a pipeline that gets an image alone.

    `versions` work as it is written here; the tests pass with each of them. A pipeline with
    something in one of the attributes `more` does more for an image than its transforms do.
    """

    versions: ClassVar[frozenset[str]]
    forms: ClassVar[Mapping[str, Form]]
    more: ClassVar[tuple[str, ...]]

    def runs_alone(self, pipeline: Any) -> bool:
        """Whether all that a pipeline does for an image is done by its transforms."""
        return bool(pipeline.main_compose and not any(map(pipeline.__getattribute__, self.more)))

    @abstractmethod
    def takes(self, image: Any) -> bool:
        """Whether transforms can have this image as it is, with its bytes in order."""

    @abstractmethod
    def begin(self, pipeline: Any) -> Any:
        """A call of a pipeline, or `None` if the pipeline leaves this image as it is."""

    @abstractmethod
    def generators(self, transform: Any, call: Any) -> Any:
        """What has the `random_generator` and the `py_random` that a transform draws from."""

    @abstractmethod
    def applies(self, transform: Any, call: Any) -> bool:
        """Whether a transform is to do something, as it draws."""

    @abstractmethod
    def run(self, transform: Any, image: Any, call: Any, *, force: bool = False) -> Any:
        """What a transform or a group of them makes of an image."""


class OwnGenerators(PipelineRelease):
    """Albumentations 2.0."""

    versions = frozenset(("2.0.6", "2.0.7", "2.0.8"))
    forms = FORMS
    more = ("processors", "additional_targets", "save_applied_params", "check_each_transform")

    def takes(self, image: Any) -> bool:
        """Any: nothing is done to it before the first transform."""
        return True

    def begin(self, pipeline: Any) -> Any:
        """The pipeline itself: it has no calls."""
        return pipeline if pipeline.py_random.random() < pipeline.p else None

    def generators(self, transform: Any, call: Any) -> Any:
        """The transform's own."""
        return transform

    def applies(self, transform: Any, call: Any) -> bool:
        """As the transform says."""
        return bool(transform.should_apply())

    def run(self, transform: Any, image: Any, call: Any, *, force: bool = False) -> Any:
        """The transform, called."""
        if force:
            return transform(image=image, force_apply=True)["image"]
        return transform(image=image)["image"]


class GeneratorsOfCalls(PipelineRelease):
    """AlbumentationsX."""

    versions = frozenset(("2.5.1",))
    forms = X_FORMS
    more = (
        *("processors", "save_applied_params", "replay_mode"),
        *("_instance_binding", "_frame_binding"),
    )

    def runs_alone(self, pipeline: Any) -> bool:
        """Also, its transforms must be of the kind that can be told of a call."""
        return super().runs_alone(pipeline) and bool(pipeline._unactivated_compiled_graph)

    def takes(self, image: Any) -> bool:
        """Those that need no channel; the pipeline would give them one."""
        return bool(image.ndim == 3)

    def begin(self, pipeline: Any) -> Any:
        """What the library calls the context of an invocation."""
        call = pipeline._new_invocation_context(collect_applied=False)
        call.has_tensor_inputs = False
        return call if pipeline._should_apply_in_context(call, force_apply=False) else None

    def generators(self, transform: Any, call: Any) -> Any:
        """The call's."""
        return call

    def applies(self, transform: Any, call: Any) -> bool:
        """As the transform says; it is not asked if it never does anything, and draws nothing."""
        return bool(
            transform.p > 0 and transform._should_apply_in_invocation(call, force_apply=False)
        )

    def run(self, transform: Any, image: Any, call: Any, *, force: bool = False) -> Any:
        """The transform or the group, in the call.

        The library does not make it the current one where it has an image alone. Then the
        `self.random_generator` of a transform of the user's own is one that nobody has seeded.
        """
        library = need("albumentations.core.composition", extra="albumentations")
        run = library.BaseCompose._apply_unactivated_node
        with call:
            return run(transform, {"image": image}, call, force_apply=force)["image"]


RELEASES: tuple[PipelineRelease, ...] = (OwnGenerators(), GeneratorsOfCalls())


def is_albumentations(augmenter: Any) -> bool:
    """Whether `augmenter` is a transform or a pipeline of Albumentations."""
    return any(
        base.__name__ in _CLASSES and base.__module__.startswith("albumentations")
        for base in type(augmenter).__mro__
    )


def library_of(thing: Any) -> Any:
    """The package that a class or a function is from."""
    return sys.modules.get(thing.__module__.partition(".")[0])


def release_of(library: Any) -> PipelineRelease | None:
    """How this library runs pipelines, or `None` if that is not known."""
    version = getattr(library, "__version__", None)
    return next((release for release in RELEASES if version in release.versions), None)
