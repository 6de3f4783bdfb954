"""Labelled pictures: datasets in, batches of references, and the same formats out."""

from .annotation import Annotation, LabelRules
from .coco import Coco, CocoWriter
from .labelme import Labelme, LabelmeWriter
from .labels import PictureLabels
from .masks import Masks, MasksWriter
from .references import FileReference, Reference
from .run_lengths import RunLengths
from .samples import PictureDataset, Sample
from .sidecars import Sidecar, Sidecars
from .voc import Voc, VocWriter
from .yolo import Yolo, YoloWriter

__all__ = [
    "Annotation",
    "Coco",
    "CocoWriter",
    "FileReference",
    "LabelRules",
    "Labelme",
    "LabelmeWriter",
    "Masks",
    "MasksWriter",
    "PictureDataset",
    "PictureLabels",
    "Reference",
    "RunLengths",
    "Sample",
    "Sidecar",
    "Sidecars",
    "Voc",
    "VocWriter",
    "Yolo",
    "YoloWriter",
]
