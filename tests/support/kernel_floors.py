"""Measures OpenCV's bare calls, and NumPy's draws, that rows of `aioaug bench kernels` consist of.

    python tests/support/kernel_floors.py

Printed is a table of the processor's time for a picture of 224x224x3, as in docs/performance.md:
the medians of nine rounds, each of 64 pictures one after the other as in a batch.
"""

from __future__ import annotations

import statistics
import time

import aioaug.fast.families  # noqa: F401  imgaug cannot be imported without it
import cv2
import imgaug as ia
import numpy as np
from aioaug.fast.filtering import filter_as_floats

ROUNDS, BATCH, SIDE = 9, 64, 224


def calls():
    """What is called for a picture that may be changed, by the row's name."""
    picture = ia.quokka_square((SIDE, SIDE))
    generator = np.random.Generator(np.random.SFC64(1))
    out, small = np.empty_like(picture), np.empty((128, 128, 3), np.uint8)
    planes = list(np.empty((3, SIDE, SIDE), np.uint8))
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    clahe = cv2.createCLAHE(5.0, (7, 7))
    few = np.zeros((22, 22), np.int32)
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 5, 1.05)
    matrix = np.vstack([matrix, [0.0001, 0.0002, 1]])
    sharpen = np.full((3, 3), -0.3, np.float32)
    sharpen[1, 1] = 3.4
    emboss = np.array([[-1, -1, 0], [-1, 3, 1], [0, 1, 1]], np.float32) / 3
    floats = np.empty(picture.shape, np.float32)
    line = np.zeros((7, 7), np.float32)
    line[np.arange(7), np.arange(7)] = line[np.arange(6), np.arange(1, 7)] = 1 / 13
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]

    def equalize(image):
        for plane in cv2.split(image, planes):
            cv2.calcHist([plane], [0], None, [256], [0, 256])
        cv2.merge(planes, dst=image)

    def lightness(image):
        cv2.cvtColor(image, cv2.COLOR_RGB2Lab, dst=out)
        clahe.apply(gray)
        cv2.cvtColor(out, cv2.COLOR_Lab2RGB, dst=image)

    def perspective(image):
        four = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
        seen = cv2.cvtColor(cv2.warpPerspective(four, matrix, (210, 205)), cv2.COLOR_RGBA2RGB)
        cv2.resize(seen, (SIDE, SIDE), dst=image, interpolation=cv2.INTER_AREA)

    def coarse(image):
        generator.random((22, 22))
        cv2.resize(few, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        cv2.bitwise_and(image, out, dst=image)

    def salt(image):
        generator.random((SIDE, SIDE))
        generator.beta(0.5, 0.5, SIDE * SIDE // 20)

    def jpeg(image):
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])
        cv2.imdecode(coded, cv2.IMREAD_COLOR)

    return {
        "flip": lambda image: cv2.flip(image, 1, dst=image),
        "crop and resize": lambda image: cv2.resize(
            image[9:213, 11:215], (SIDE, SIDE), dst=out, interpolation=cv2.INTER_AREA
        ),
        "resize to 128": lambda image: cv2.resize(
            image, (128, 128), dst=small, interpolation=cv2.INTER_CUBIC
        ),
        "add": lambda image: cv2.add(image.reshape(SIDE, -1), 17.0, dst=image.reshape(SIDE, -1)),
        "equalize": equalize,
        "clahe": lightness,
        "grayscale": lambda image: cv2.cvtColor(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB, dst=image
        ),
        "gaussian noise": lambda image: generator.normal(0, 20, (SIDE, SIDE)),
        "dropout": lambda image: generator.random((SIDE, SIDE)),
        "coarse dropout": coarse,
        "salt and pepper": salt,
        "median blur": lambda image: cv2.medianBlur(image, 5, dst=image),
        "motion blur": lambda image: filter_as_floats(image, line, floats),
        "motion blur, bytes": lambda image: cv2.filter2D(image, -1, line, dst=image),
        "sharpen": lambda image: cv2.filter2D(image, -1, sharpen, dst=image),
        "emboss": lambda image: cv2.filter2D(image, -1, emboss, dst=image),
        "jpeg": jpeg,
        "perspective": perspective,
        "elastic": lambda image: generator.random((2 * (SIDE + 34), SIDE + 34)),
    }


def main():
    cv2.setNumThreads(1)
    pictures = np.stack([ia.quokka_square((SIDE, SIDE))] * BATCH)
    given = pictures.copy()
    print("| row | ms a picture |\n|---|--:|")
    for name, call in calls().items():
        times = []
        for _ in range(ROUNDS + 1):
            np.copyto(given, pictures)
            begun = time.thread_time()
            for image in given:
                call(image)
            times.append(time.thread_time() - begun)
        print(f"| {name} | {statistics.median(times[1:]) / BATCH * 1000:.3f} |")


if __name__ == "__main__":
    main()
