"""All faster classes. Importing this imports imgaug."""

from __future__ import annotations

import imgaug.parameters as iap
from imgaug.augmenters import blend, blur, contrast, convolutional, meta, segmentation
from imgaug.augmenters.edges import IBinaryImageColorizer

from . import (
    affine,
    blurs,
    calls,
    cells,
    channels,
    colors,
    draws,
    edges,
    filters,
    geometry,
    kernels,
    levels,
    masks,
    meshes,
    motion,
    perspective,
    simplex,
    sizes,
    tables,
)

# What may have parameters, or other augmenters, in its attributes.
NODES: tuple[type, ...] = (
    meta.Augmenter,
    iap.StochasticParameter,
    blend.IBatchwiseMaskGenerator,
    segmentation.IPointsSampler,
    IBinaryImageColorizer,
    convolutional._SharpeningMatrixGenerator,
    convolutional._EmbossMatrixGenerator,
    convolutional._EdgeDetectMatrixGenerator,
    convolutional._DirectedEdgeDetectMatrixGenerator,
    blur._MotionBlurMatrixGenerator,
    contrast._IntensityChannelBasedApplier,
)

__all__ = [
    "NODES",
    "affine",
    "blurs",
    "calls",
    "cells",
    "channels",
    "colors",
    "draws",
    "edges",
    "filters",
]
__all__ += ["geometry", "kernels", "levels", "masks", "meshes", "motion", "perspective"]
__all__ += ["simplex", "sizes", "tables"]

calls.give_to_all()  # last, when all others are there
