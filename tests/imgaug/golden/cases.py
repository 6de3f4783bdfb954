"""Every augmenter of imgaug 0.4.0, with arguments that make it do something to small pictures.

Shared by `record.py`, which must not know of aioaug, and by the tests. A name is ``module.Class``,
or ``module.Class:what`` where a class is there more than once.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable
from typing import Any

import imgaug as ia
import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np

SEED = 42
COORDINATES = ("keypoints", "bounding_boxes", "polygons", "line_strings")
POLYGON = ((8.0, 6.0), (30.5, 9.0), (26.0, 28.0), (12.0, 25.5))
WEATHER = {
    "density": (0.1, 0.3),
    "density_uniformity": 0.6,
    "angle": (-20, 20),
    "blur_sigma_fraction": 0.01,
}

ALL: dict[str, Callable[[], Any]] = {
    # meta
    "meta.Sequential": lambda: iaa.Sequential(
        [iaa.Fliplr(0.5), iaa.Add((-40, 40)), iaa.Crop(px=(0, 6))], random_order=True
    ),
    "meta.SomeOf": lambda: iaa.SomeOf(
        (1, 2), [iaa.Add(30), iaa.Flipud(1.0), iaa.Multiply(0.6)], random_order=True
    ),
    "meta.OneOf": lambda: iaa.OneOf([iaa.Add(30), iaa.Flipud(1.0), iaa.Invert(1.0)]),
    "meta.Sometimes": lambda: iaa.Sometimes(0.5, iaa.Fliplr(1.0), iaa.Flipud(1.0)),
    "meta.WithChannels": lambda: iaa.WithChannels([0, 2], iaa.Add((20, 90))),
    "meta.Identity": lambda: iaa.Identity(),
    "meta.Noop": lambda: iaa.Noop(),
    "meta.Lambda": lambda: iaa.Lambda(func_images=_darker),
    "meta.AssertLambda": lambda: iaa.AssertLambda(func_images=_true),
    "meta.AssertShape": lambda: iaa.AssertShape((None, (30, 100), (30, 120), 3)),
    "meta.ChannelShuffle": lambda: iaa.ChannelShuffle(1.0),
    "meta.RemoveCBAsByOutOfImageFraction": lambda: iaa.Sequential(
        [iaa.TranslateX(px=25), iaa.RemoveCBAsByOutOfImageFraction(0.4)]
    ),
    "meta.ClipCBAsToImagePlanes": lambda: iaa.Sequential(
        [iaa.TranslateX(px=20), iaa.ClipCBAsToImagePlanes()]
    ),
    # arithmetic
    "arithmetic.Add": lambda: iaa.Add((-60, 60), per_channel=0.5),
    "arithmetic.AddElementwise": lambda: iaa.AddElementwise((-40, 40)),
    "arithmetic.AdditiveGaussianNoise": lambda: iaa.AdditiveGaussianNoise(
        scale=(5, 30), per_channel=True
    ),
    "arithmetic.AdditiveLaplaceNoise": lambda: iaa.AdditiveLaplaceNoise(scale=(5, 30)),
    "arithmetic.AdditivePoissonNoise": lambda: iaa.AdditivePoissonNoise(lam=(5, 30)),
    "arithmetic.Multiply": lambda: iaa.Multiply((0.5, 1.5), per_channel=True),
    "arithmetic.MultiplyElementwise": lambda: iaa.MultiplyElementwise((0.5, 1.5)),
    "arithmetic.Cutout": lambda: iaa.Cutout(
        nb_iterations=(1, 3), fill_mode="gaussian", fill_per_channel=True
    ),
    "arithmetic.Dropout": lambda: iaa.Dropout(p=(0.1, 0.4)),
    "arithmetic.CoarseDropout": lambda: iaa.CoarseDropout(0.3, size_px=6, per_channel=True),
    "arithmetic.Dropout2d": lambda: iaa.Dropout2d(0.5),
    "arithmetic.TotalDropout": lambda: iaa.TotalDropout(0.5),
    "arithmetic.ReplaceElementwise": lambda: iaa.ReplaceElementwise(
        0.2, iap.Normal(128, 40), per_channel=True
    ),
    "arithmetic.SaltAndPepper": lambda: iaa.SaltAndPepper(0.2),
    "arithmetic.ImpulseNoise": lambda: iaa.ImpulseNoise(0.2),
    "arithmetic.CoarseSaltAndPepper": lambda: iaa.CoarseSaltAndPepper(0.3, size_percent=(0.1, 0.3)),
    "arithmetic.Salt": lambda: iaa.Salt(0.2),
    "arithmetic.CoarseSalt": lambda: iaa.CoarseSalt(0.3, size_percent=(0.1, 0.3)),
    "arithmetic.Pepper": lambda: iaa.Pepper(0.2),
    "arithmetic.CoarsePepper": lambda: iaa.CoarsePepper(0.3, size_px=(4, 8)),
    "arithmetic.Invert": lambda: iaa.Invert(0.5, per_channel=True, max_value=200),
    "arithmetic.Solarize": lambda: iaa.Solarize(1.0, threshold=(50, 200)),
    "arithmetic.JpegCompression": lambda: iaa.JpegCompression(compression=(60, 95)),
    # artistic, blend
    "artistic.Cartoon": lambda: iaa.Cartoon(),
    "blend.BlendAlpha": lambda: iaa.BlendAlpha((0.2, 0.8), iaa.Invert(1.0), iaa.Fliplr(1.0)),
    "blend.BlendAlphaMask": lambda: iaa.BlendAlphaMask(
        iaa.InvertMaskGen(0.5, iaa.VerticalLinearGradientMaskGen()), iaa.Invert(1.0)
    ),
    "blend.BlendAlphaElementwise": lambda: iaa.BlendAlphaElementwise(
        (0.0, 1.0), iaa.Invert(1.0), per_channel=True
    ),
    "blend.BlendAlphaSimplexNoise": lambda: iaa.BlendAlphaSimplexNoise(iaa.Invert(1.0)),
    "blend.BlendAlphaFrequencyNoise": lambda: iaa.BlendAlphaFrequencyNoise(
        foreground=iaa.Invert(1.0)
    ),
    "blend.BlendAlphaSomeColors": lambda: iaa.BlendAlphaSomeColors(iaa.Invert(1.0)),
    "blend.BlendAlphaHorizontalLinearGradient": lambda: iaa.BlendAlphaHorizontalLinearGradient(
        iaa.Invert(1.0)
    ),
    "blend.BlendAlphaVerticalLinearGradient": lambda: iaa.BlendAlphaVerticalLinearGradient(
        iaa.Invert(1.0)
    ),
    "blend.BlendAlphaRegularGrid": lambda: iaa.BlendAlphaRegularGrid(
        (2, 4), (2, 4), iaa.Invert(1.0)
    ),
    "blend.BlendAlphaCheckerboard": lambda: iaa.BlendAlphaCheckerboard(3, (2, 4), iaa.Invert(1.0)),
    "blend.BlendAlphaSegMapClassIds": lambda: iaa.BlendAlphaSegMapClassIds([1, 2], iaa.Invert(1.0)),
    "blend.BlendAlphaBoundingBoxes": lambda: iaa.BlendAlphaBoundingBoxes("face", iaa.Invert(1.0)),
    # blur, collections
    "blur.GaussianBlur": lambda: iaa.GaussianBlur((0.5, 4.0)),
    "blur.AverageBlur": lambda: iaa.AverageBlur((2, 7)),
    "blur.MedianBlur": lambda: iaa.MedianBlur((3, 7)),
    "blur.BilateralBlur": lambda: iaa.BilateralBlur(
        d=(3, 8), sigma_color=(10, 250), sigma_space=(10, 250)
    ),
    "blur.MotionBlur": lambda: iaa.MotionBlur(k=(3, 9), angle=(-90, 90)),
    "blur.MeanShiftBlur": lambda: iaa.MeanShiftBlur(),
    "collections.RandAugment": lambda: iaa.RandAugment(n=3, m=9),
    # color
    "color.WithColorspace": lambda: iaa.WithColorspace(
        "HSV", children=iaa.WithChannels(0, iaa.Add((10, 50)))
    ),
    "color.WithBrightnessChannels": lambda: iaa.WithBrightnessChannels(iaa.Add((-50, 50))),
    "color.MultiplyAndAddToBrightness": lambda: iaa.MultiplyAndAddToBrightness(),
    "color.MultiplyBrightness": lambda: iaa.MultiplyBrightness((0.5, 1.5)),
    "color.AddToBrightness": lambda: iaa.AddToBrightness((-50, 50)),
    "color.WithHueAndSaturation": lambda: iaa.WithHueAndSaturation(
        iaa.WithChannels(0, iaa.Add((0, 50)))
    ),
    "color.MultiplyHueAndSaturation": lambda: iaa.MultiplyHueAndSaturation(
        (0.5, 1.5), per_channel=True
    ),
    "color.MultiplyHue": lambda: iaa.MultiplyHue((0.5, 1.5)),
    "color.MultiplySaturation": lambda: iaa.MultiplySaturation((0.5, 1.5)),
    "color.RemoveSaturation": lambda: iaa.RemoveSaturation((0.3, 1.0)),
    "color.AddToHueAndSaturation": lambda: iaa.AddToHueAndSaturation((-50, 50), per_channel=True),
    "color.AddToHue": lambda: iaa.AddToHue((-50, 50)),
    "color.AddToSaturation": lambda: iaa.AddToSaturation((-50, 50)),
    "color.ChangeColorspace": lambda: iaa.ChangeColorspace(
        ["HSV", "Lab", "YCrCb"], alpha=(0.3, 1.0)
    ),
    "color.Grayscale": lambda: iaa.Grayscale((0.3, 1.0)),
    "color.ChangeColorTemperature": lambda: iaa.ChangeColorTemperature((1100, 10000)),
    "color.KMeansColorQuantization": lambda: iaa.KMeansColorQuantization((3, 8)),
    "color.UniformColorQuantization": lambda: iaa.UniformColorQuantization((3, 16)),
    "color.UniformColorQuantizationToNBits": lambda: iaa.UniformColorQuantizationToNBits((1, 5)),
    "color.Posterize": lambda: iaa.Posterize((1, 5)),
    # contrast, convolutional, debug, edges, flip
    "contrast.GammaContrast": lambda: iaa.GammaContrast((0.5, 2.0), per_channel=True),
    "contrast.SigmoidContrast": lambda: iaa.SigmoidContrast(
        gain=(3, 10), cutoff=(0.4, 0.6), per_channel=True
    ),
    "contrast.LogContrast": lambda: iaa.LogContrast(gain=(0.6, 1.4)),
    "contrast.LinearContrast": lambda: iaa.LinearContrast((0.4, 1.6)),
    "contrast.AllChannelsCLAHE": lambda: iaa.AllChannelsCLAHE(clip_limit=(1, 10), per_channel=True),
    "contrast.CLAHE": lambda: iaa.CLAHE(),
    "contrast.AllChannelsHistogramEqualization": lambda: iaa.AllChannelsHistogramEqualization(),
    "contrast.HistogramEqualization": lambda: iaa.HistogramEqualization(),
    "convolutional.Convolve": lambda: iaa.Convolve(
        matrix=np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 1]])
    ),
    "convolutional.Sharpen": lambda: iaa.Sharpen(alpha=(0.2, 1.0), lightness=(0.75, 2.0)),
    "convolutional.Emboss": lambda: iaa.Emboss(alpha=(0.2, 1.0), strength=(0.5, 1.5)),
    "convolutional.EdgeDetect": lambda: iaa.EdgeDetect(alpha=(0.2, 1.0)),
    "convolutional.DirectedEdgeDetect": lambda: iaa.DirectedEdgeDetect(
        alpha=(0.2, 1.0), direction=(0.0, 1.0)
    ),
    "debug.SaveDebugImageEveryNBatches": lambda: iaa.SaveDebugImageEveryNBatches(_folder(), 10),
    "edges.Canny": lambda: iaa.Canny(alpha=(0.3, 1.0)),
    "flip.Fliplr": lambda: iaa.Fliplr(0.5),
    "flip.Flipud": lambda: iaa.Flipud(0.5),
    # geometric
    "geometric.Affine": lambda: iaa.Affine(
        scale=(0.7, 1.3),
        translate_percent=(-0.2, 0.2),
        rotate=(-45, 45),
        shear=(-16, 16),
        cval=(0, 255),
        mode=ia.ALL,
    ),
    "geometric.Affine:fixed": lambda: iaa.Affine(
        scale=1.1, translate_percent=0.1, rotate=17, shear=5
    ),
    "geometric.Affine:skimage": lambda: iaa.Affine(
        rotate=(-45, 45), order=3, backend="skimage", fit_output=True
    ),
    "geometric.ScaleX": lambda: iaa.ScaleX((0.5, 1.5)),
    "geometric.ScaleY": lambda: iaa.ScaleY((0.5, 1.5)),
    "geometric.TranslateX": lambda: iaa.TranslateX(percent=(-0.3, 0.3)),
    "geometric.TranslateY": lambda: iaa.TranslateY(px=(-10, 10)),
    "geometric.Rotate": lambda: iaa.Rotate((-45, 45)),
    "geometric.Rotate:nearest": lambda: iaa.Rotate((-45, 45), order=0, mode="edge"),
    "geometric.ShearX": lambda: iaa.ShearX((-20, 20)),
    "geometric.ShearY": lambda: iaa.ShearY((-20, 20)),
    "geometric.AffineCv2": lambda: iaa.AffineCv2(
        scale=(0.7, 1.3), translate_px=(-4, 4), rotate=(-30, 30), shear=(-9, 9)
    ),
    "geometric.PiecewiseAffine": lambda: iaa.PiecewiseAffine(scale=(0.02, 0.06)),
    "geometric.PerspectiveTransform": lambda: iaa.PerspectiveTransform(scale=(0.05, 0.15)),
    "geometric.ElasticTransformation": lambda: iaa.ElasticTransformation(
        alpha=(10.0, 40.0), sigma=(4.0, 6.0)
    ),
    "geometric.ElasticTransformation:integers": lambda: iaa.ElasticTransformation(
        alpha=[20, 40], sigma=5, order=1
    ),
    "geometric.Rot90": lambda: iaa.Rot90((1, 3), keep_size=False),
    "geometric.WithPolarWarping": lambda: iaa.WithPolarWarping(iaa.CropAndPad(percent=(-0.1, 0.1))),
    "geometric.Jigsaw": lambda: iaa.Jigsaw(nb_rows=4, nb_cols=(2, 5), max_steps=(1, 3)),
    # pillike
    "pillike.Solarize": lambda: iaa.pillike.Solarize(1.0, threshold=(32, 128)),
    "pillike.Posterize": lambda: iaa.pillike.Posterize((1, 5)),
    "pillike.Equalize": lambda: iaa.pillike.Equalize(),
    "pillike.Autocontrast": lambda: iaa.pillike.Autocontrast((5, 20), per_channel=True),
    "pillike.Autocontrast:fixed": lambda: iaa.pillike.Autocontrast(10),
    "pillike.EnhanceColor": lambda: iaa.pillike.EnhanceColor(),
    "pillike.EnhanceContrast": lambda: iaa.pillike.EnhanceContrast(),
    "pillike.EnhanceBrightness": lambda: iaa.pillike.EnhanceBrightness(),
    "pillike.EnhanceSharpness": lambda: iaa.pillike.EnhanceSharpness(),
    "pillike.FilterBlur": lambda: iaa.pillike.FilterBlur(),
    "pillike.FilterSmooth": lambda: iaa.pillike.FilterSmooth(),
    "pillike.FilterSmoothMore": lambda: iaa.pillike.FilterSmoothMore(),
    "pillike.FilterEdgeEnhance": lambda: iaa.pillike.FilterEdgeEnhance(),
    "pillike.FilterEdgeEnhanceMore": lambda: iaa.pillike.FilterEdgeEnhanceMore(),
    "pillike.FilterFindEdges": lambda: iaa.pillike.FilterFindEdges(),
    "pillike.FilterContour": lambda: iaa.pillike.FilterContour(),
    "pillike.FilterEmboss": lambda: iaa.pillike.FilterEmboss(),
    "pillike.FilterSharpen": lambda: iaa.pillike.FilterSharpen(),
    "pillike.FilterDetail": lambda: iaa.pillike.FilterDetail(),
    "pillike.Affine": lambda: iaa.pillike.Affine(
        rotate=(-30, 30), shear=(-10, 10), translate_px=(-4, 4), fillcolor=(0, 255)
    ),
    # pooling, segmentation
    "pooling.AveragePooling": lambda: iaa.AveragePooling((2, 5)),
    "pooling.MaxPooling": lambda: iaa.MaxPooling((2, 5)),
    "pooling.MinPooling": lambda: iaa.MinPooling((2, 5)),
    "pooling.MedianPooling": lambda: iaa.MedianPooling((2, 5), keep_size=False),
    "segmentation.Superpixels": lambda: iaa.Superpixels(p_replace=(0.3, 0.8), n_segments=(20, 60)),
    "segmentation.Voronoi": lambda: iaa.Voronoi(
        iaa.DropoutPointsSampler(iaa.RegularGridPointsSampler(8, (6, 10)), 0.2), p_replace=0.8
    ),
    "segmentation.UniformVoronoi": lambda: iaa.UniformVoronoi((20, 60)),
    "segmentation.RegularGridVoronoi": lambda: iaa.RegularGridVoronoi((5, 9), 8),
    "segmentation.RelativeRegularGridVoronoi": lambda: iaa.RelativeRegularGridVoronoi(
        (0.1, 0.3), 0.2
    ),
    # size
    "size.Resize": lambda: iaa.Resize({"height": 24, "width": [28, 44]}, interpolation=ia.ALL),
    "size.CropAndPad": lambda: iaa.CropAndPad(
        percent=(-0.2, 0.2), pad_mode=["edge", "mean"], pad_cval=(0, 255)
    ),
    "size.CropAndPad:all modes": lambda: iaa.CropAndPad(px=(0, 8), pad_mode=ia.ALL),
    "size.Pad": lambda: iaa.Pad(px=(0, 8), pad_mode=["reflect", "linear_ramp"], keep_size=False),
    "size.Crop": lambda: iaa.Crop(percent=(0.0, 0.2), keep_size=False),
    "size.PadToFixedSize": lambda: iaa.PadToFixedSize(48, 36, pad_mode="wrap"),
    "size.CenterPadToFixedSize": lambda: iaa.CenterPadToFixedSize(48, 36),
    "size.CropToFixedSize": lambda: iaa.CropToFixedSize(30, 24, position="normal"),
    "size.CenterCropToFixedSize": lambda: iaa.CenterCropToFixedSize(30, 24),
    "size.CropToMultiplesOf": lambda: iaa.CropToMultiplesOf(7, 5),
    "size.CenterCropToMultiplesOf": lambda: iaa.CenterCropToMultiplesOf(7, 5),
    "size.PadToMultiplesOf": lambda: iaa.PadToMultiplesOf(7, 5),
    "size.CenterPadToMultiplesOf": lambda: iaa.CenterPadToMultiplesOf(7, 5),
    "size.CropToPowersOf": lambda: iaa.CropToPowersOf(3, 3),
    "size.CenterCropToPowersOf": lambda: iaa.CenterCropToPowersOf(3, 3),
    "size.PadToPowersOf": lambda: iaa.PadToPowersOf(7, 6),
    "size.CenterPadToPowersOf": lambda: iaa.CenterPadToPowersOf(7, 6),
    "size.CropToAspectRatio": lambda: iaa.CropToAspectRatio(0.9),
    "size.CenterCropToAspectRatio": lambda: iaa.CenterCropToAspectRatio(0.9),
    "size.PadToAspectRatio": lambda: iaa.PadToAspectRatio(1.4),
    "size.CenterPadToAspectRatio": lambda: iaa.CenterPadToAspectRatio(1.4),
    "size.CropToSquare": lambda: iaa.CropToSquare(),
    "size.CenterCropToSquare": lambda: iaa.CenterCropToSquare(),
    "size.PadToSquare": lambda: iaa.PadToSquare(),
    "size.CenterPadToSquare": lambda: iaa.CenterPadToSquare(),
    "size.KeepSizeByResize": lambda: iaa.KeepSizeByResize(iaa.Crop((2, 8), keep_size=False)),
    # weather
    "weather.FastSnowyLandscape": lambda: iaa.FastSnowyLandscape(),
    "weather.CloudLayer": lambda: iaa.CloudLayer(
        (196, 255), (-2.5, -2.0), 10, 0.1, (0.25, 0.75), (2, 8), -2.2, 0.9, 0.6
    ),
    "weather.Clouds": lambda: iaa.Clouds(),
    "weather.Fog": lambda: iaa.Fog(),
    "weather.SnowflakesLayer": lambda: iaa.SnowflakesLayer(
        flake_size=0.1, flake_size_uniformity=0.6, speed=0.1, **WEATHER
    ),
    "weather.Snowflakes": lambda: iaa.Snowflakes(flake_size=(0.2, 0.7), speed=(0.01, 0.1)),
    "weather.RainLayer": lambda: iaa.RainLayer(
        drop_size=0.1, drop_size_uniformity=0.6, speed=0.2, **WEATHER
    ),
    "weather.Rain": lambda: iaa.Rain(drop_size=(0.1, 0.2), speed=(0.1, 0.3)),
}

# These need the package imagecorruptions.
CORRUPTIONS: dict[str, Callable[[], Any]] = {
    f"imgcorruptlike.{name}": getattr(iaa.imgcorruptlike, name)
    for name in dir(iaa.imgcorruptlike)
    if getattr(getattr(iaa.imgcorruptlike, name), "__module__", "") == iaa.imgcorruptlike.__name__
    and isinstance(getattr(iaa.imgcorruptlike, name), type)
    and not name.startswith("_")
}

# Where imgaug refuses some kinds of annotation.
KINDS = {
    "collections.RandAugment": ("images",),
    "imgcorruptlike.ElasticTransform": ("images",),
    "geometric.Jigsaw": ("images", "heatmaps", "segmentation_maps", "keypoints"),
    "pillike.Affine": ("images",),
}


def _folder() -> str:
    folder = os.path.join(tempfile.gettempdir(), "imgaug-golden")
    os.makedirs(folder, exist_ok=True)
    return folder


def _darker(images: Any, random_state: Any, parents: Any, hooks: Any) -> Any:
    return [image // 2 for image in images]


def _true(images: Any, random_state: Any, parents: Any, hooks: Any) -> bool:
    return True


def annotated(pictures: Any) -> Any:
    """A batch of the pictures with every kind of annotation that imgaug has."""
    shape = pictures[0].shape
    height, width = shape[:2]
    points = np.float32(POLYGON)
    classes = np.zeros((height, width, 1), np.int32)
    classes[8:24, 6:20] = 1
    classes[16:30, 20:36] = 2
    heat = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width, 1)
    n = len(pictures)
    return ia.Batch(
        images=copy.deepcopy(pictures),
        heatmaps=[ia.HeatmapsOnImage(heat.copy(), shape) for _ in range(n)],
        segmentation_maps=[ia.SegmentationMapsOnImage(classes.copy(), shape) for _ in range(n)],
        keypoints=[ia.KeypointsOnImage.from_xy_array(points, shape) for _ in range(n)],
        bounding_boxes=[
            ia.BoundingBoxesOnImage([ia.BoundingBox(6, 5, 31, 27, label="face")], shape)
            for _ in range(n)
        ],
        polygons=[ia.PolygonsOnImage([ia.Polygon(points)], shape) for _ in range(n)],
        line_strings=[ia.LineStringsOnImage([ia.LineString(points)], shape) for _ in range(n)],
    )


def run(
    name: str, pictures: Any, through: Callable[[Any], Any] = lambda augmenter: augmenter
) -> dict[str, Any]:
    """Augment with a fixed seed; what comes out, as arrays named by kind and index in the batch."""
    ia.random.seed(SEED)
    augmenter = through((ALL | CORRUPTIONS)[name]())
    augmenter.seed_(SEED)
    return arrays(augmenter.augment_batch_(batch_for(name, pictures)))


def batch_for(name: str, pictures: Any) -> Any:
    """As `annotated`, without what this augmenter refuses."""
    batch = annotated(pictures)
    for kind in ("heatmaps", "segmentation_maps", *COORDINATES):
        if kind not in KINDS.get(name, (kind,)):
            setattr(batch, kind + "_unaug", None)
    return batch


def arrays(batch: Any, suffix: str = "_aug") -> dict[str, Any]:
    """The columns of a batch as arrays; columns that are not there are left out."""

    def column(kind: str) -> Any:
        return enumerate(getattr(batch, kind + suffix) or [])

    out = {
        f"images {i}": np.asarray(image)
        for i, image in enumerate(getattr(batch, "images" + suffix))
    }
    out |= {f"heatmaps {i}": item.arr_0to1 for i, item in column("heatmaps")}
    out |= {f"segmentation_maps {i}": item.arr for i, item in column("segmentation_maps")}
    for kind in COORDINATES:
        # Polygons that are cut in two come back in parts, hence flat.
        out |= {f"{kind} {i}": np.float32(item.to_xy_array()).ravel() for i, item in column(kind)}
    return out
