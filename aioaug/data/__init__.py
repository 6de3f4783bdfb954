"""Labelled datasets: references go to the workers, which read, decode and augment the pictures.

Labels move with their pictures, and are written again in the format that they came in, or another.
"""

from .annotation import Annotation, LabelRules
from .archives import Table, Tar
from .batches import DatasetBatches
from .coco import Coco, CocoWriter
from .decoding import DataBatch, ReferenceBatch, decode
from .folders import Files, Frame, ImageFolder
from .labelme import Labelme, LabelmeWriter
from .labels import PictureLabels
from .masks import Masks, MasksWriter
from .references import FileReference
from .run_lengths import RunLengths
from .samples import MovableLabels, PictureDataset, Reference, Sample
from .sidecars import Sidecar, Sidecars
from .via import Via, ViaWriter
from .voc import Voc, VocWriter
from .yolo import Yolo, YoloWriter

__all__ = [
    "Annotation",
    "Coco",
    "CocoWriter",
    "DataBatch",
    "DatasetBatches",
    "FileReference",
    "Files",
    "Frame",
    "ImageFolder",
    "LabelRules",
    "Labelme",
    "LabelmeWriter",
    "Masks",
    "MasksWriter",
    "MovableLabels",
    "PictureDataset",
    "PictureLabels",
    "Reference",
    "ReferenceBatch",
    "RunLengths",
    "Sample",
    "Sidecar",
    "Sidecars",
    "Table",
    "Tar",
    "Via",
    "ViaWriter",
    "Voc",
    "VocWriter",
    "Yolo",
    "YoloWriter",
    "decode",
]
