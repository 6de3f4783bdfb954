"""Patches for `imgaug.augmenters.geometric`."""

from __future__ import annotations

from typing import Any

from .views import View


def patch(module: Any) -> None:
    _elastic(module.ElasticTransformation)
    _affine(module._AffineSamplingResult)
    module.tf = View(
        module.tf,
        warp=_warping(module.tf),
        AffineTransform=_affine_transform(module.tf),
        PiecewiseAffineTransform=_piecewise_affine(module.tf),
    )
    module.cv2 = _opencv(module.cv2)
    module.ndimage = View(module.ndimage, interpolation=module.ndimage)


def patch_imaug(module: Any) -> None:
    module.tf = View(module.tf, PiecewiseAffineTransform=_piecewise_affine(module.tf))
    module.cv2 = _opencv(module.cv2)


def _elastic(elastic: Any) -> None:
    generate = elastic._generate_shift_maps

    def _generate_shift_maps(cls: Any, *args: Any, **kwargs: Any) -> Any:
        # With an integer alpha they are float64 in NumPy 2, which cv2.convertMaps refuses.
        return tuple(shift.astype("float32", copy=False) for shift in generate(*args, **kwargs))

    elastic._generate_shift_maps = classmethod(_generate_shift_maps)


def _affine(sampling: Any) -> None:
    get = sampling.get_affine_parameters

    def get_affine_parameters(self: Any, idx: int, arr_shape: Any, image_shape: Any) -> Any:
        import numpy as np

        # In NumPy 1, float32 samples times Python integers are float64. In NumPy 2 they have to be
        # NumPy's integers for that.
        return get(self, idx, np.asarray(arr_shape), np.asarray(image_shape))

    sampling.get_affine_parameters = get_affine_parameters


def _affine_transform(transform: Any) -> Any:
    def affine_transform(**kwargs: Any) -> Any:
        import numpy as np

        # scikit-image multiplies float32 samples by Python floats: float64 in NumPy 1 only.
        return transform.AffineTransform(
            **{name: np.asarray(value, float).tolist() for name, value in kwargs.items()}
        )

    return affine_transform


def _warping(transform: Any) -> Any:
    def warp(image: Any, *args: Any, **kwargs: Any) -> Any:
        # scikit-image no longer interpolates booleans, and SciPy no float16.
        if image.dtype.kind == "b" and kwargs.get("order"):
            image = image.astype("float64")
        elif image.dtype == "float16":
            image = image.astype("float32")
        return transform.warp(image, *args, **kwargs)

    return warp


def _piecewise_affine(transform: Any) -> Any:
    class PiecewiseAffineTransform(transform.PiecewiseAffineTransform):  # type: ignore[misc]
        def __call__(self, coords: Any) -> Any:
            import numpy as np

            # Points outside all triangles are NaN today; when imgaug was written they were -1.
            return np.nan_to_num(super().__call__(coords), nan=-1.0)

        def estimate(self, src: Any, dst: Any) -> bool:
            # Its successor `from_estimate` fails if a single triangle is degenerate.
            base: Any = super()
            estimate = base._estimate if hasattr(base, "_estimate") else base.estimate
            return estimate(src, dst) in (None, True)

    return PiecewiseAffineTransform


def _cart_to_polar(cv2: Any) -> Any:
    def cart_to_polar(x: Any, y: Any, **kwargs: Any) -> Any:
        if not len(x):
            return x.reshape(0, 1), y.reshape(0, 1)  # OpenCV returns None for no points
        # Before OpenCV 5 both had the shape (N, 1), and imgaug joins them along axis 1.
        magnitude, angle = cv2.cartToPolar(x, y, **kwargs)
        return (magnitude[:, None], angle[:, None]) if magnitude.ndim == 1 else (magnitude, angle)

    return cart_to_polar


def _opencv(cv2: Any) -> View:
    moving = {name: _of_single_rows(cv2, name) for name in ("remap", "warpAffine")}
    return View(cv2, cartToPolar=_cart_to_polar(cv2), **moving)


def _of_single_rows(cv2: Any, name: str) -> Any:
    move = getattr(cv2, name)

    def moved(src: Any, *args: Any, **kwargs: Any) -> Any:
        # OpenCV reflects at the edges of a single row for ever. Two that are equal show the same.
        if kwargs.get("borderMode") == cv2.BORDER_REFLECT_101:
            for axis in (0, 1):
                src = src.repeat(2, axis) if src.shape[axis] == 1 else src
        return move(src, *args, **kwargs)

    return moved
