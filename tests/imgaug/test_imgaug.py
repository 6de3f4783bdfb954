"""imgaug 0.4.0 works beside aioaug, whoever is imported first, and leaves nothing behind."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import aioaug
import aioaug.fast
import imgaug
import imgaug.augmenters as iaa
import imgaug.parameters as iap
import numpy as np
import pytest
from aioaug._base.versions import installed_version
from aioaug._imgaug import install, private_rng, seed_augmenter
from imgaug.multicore import BackgroundAugmenter, BatchLoader
from imgaug_kind import IS_IMAUG, imgaug_only

NUMPY_1 = np.__version__.startswith("1.")
NOISE = np.random.default_rng(1).integers(0, 256, (2, 40, 48, 3), np.uint8)


def python(program, *flags, **environment):
    """Run a program in a process of its own; what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *flags, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=Path(aioaug.__file__).parents[1],
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_installing_imports_nothing():
    out = python("""
        import sys
        import aioaug._imgaug
        aioaug._imgaug.install()
        heavy = {"numpy", "imgaug", "cv2", "matplotlib", "scipy", "skimage", "imageio"}
        print("mended", *(heavy - {"numpy"}) & sys.modules.keys())
    """)
    assert out == ["mended"]


def test_the_users_import_works_and_leaves_numpy_and_scipy_alone():
    out = python("""
        import sys, types
        import numpy, scipy
        import aioaug
        def names(package):
            return {n for n, v in vars(package).items() if not isinstance(v, types.ModuleType)}
        before = names(numpy), names(scipy), hasattr(numpy, "sctypes"), hasattr(numpy, "complex")
        import imgaug.augmenters
        after = names(numpy), names(scipy), hasattr(numpy, "sctypes"), hasattr(numpy, "complex")
        added = [a - b for a, b in zip(after[:2], before[:2])]
        print(before == after or added, imgaug.np is numpy)
        print("scipy.stats" in sys.modules, "matplotlib" in sys.modules)
        print(type(sys.modules["imgaug.imgaug"].__loader__).__name__)
        imgaug.parameters.TruncatedNormal(0, 1).draw_samples((2,))
        print("scipy.stats" in sys.modules, imgaug.parameters.scipy is scipy)
    """)
    assert out == ["True", "True", "False", "False", "SourceFileLoader", "True", "True"]


@pytest.mark.skipif(not NUMPY_1, reason="NumPy 2 does not let imgaug be imported first")
def test_imgaug_imported_first():
    out = python(
        """
        import imgaug, imgaug.augmenters as iaa, numpy as np
        import aioaug
        image = np.zeros((32, 32, 3), np.uint8)
        iaa.SomeOf(1, [iaa.Clouds(), iaa.Rain(), iaa.Superpixels(1.0)])(image=image)
        with aioaug._imgaug.private_rng(3):
            mine = imgaug.random.get_global_rng().generator
        print(mine is imgaug.random.get_global_rng().generator)
        import imgaug.multicore
        print(type(imgaug.multicore.random).__name__)
        """,
        "-W",
        "ignore",
    )
    assert out == ["False", "View"]


@imgaug_only
@pytest.mark.skipif(NUMPY_1, reason="NumPy 1 lets imgaug be imported")
def test_a_failed_import_before_does_no_harm():
    out = python("""
        try:
            import imgaug
        except AttributeError as error:
            print("sctypes" in str(error))
        import aioaug
        import imgaug.augmenters
        print(imgaug.__version__)
    """)
    assert out == ["True", "0.4.0"]


# The last one numbers as imaug does, and is not what is installed as imaug.
@pytest.mark.parametrize("version", ["0.5.0", "0.4.3.dev1"])
def test_another_imgaug_is_left_alone(tmp_path, version):
    (tmp_path / "imgaug").mkdir()
    source = f"__version__ = {version!r}\nfrom . import random\n"
    (tmp_path / "imgaug/__init__.py").write_text(source)
    (tmp_path / "imgaug/random.py").write_text("def get_global_rng(): return 'theirs'\n")
    out = python(
        """
        import aioaug, imgaug
        print(imgaug.__version__, imgaug.random.get_global_rng.__module__)
        print(aioaug._imgaug.is_known())
        """,
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    assert out == [version, "imgaug.random", "False"]


def test_the_kind_is_known_by_what_is_installed():
    assert aioaug._imgaug.is_known()
    assert (installed_version("imaug") == imgaug.__version__) == IS_IMAUG


def test_a_missing_libgl_is_told_with_its_remedy(tmp_path):
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2/__init__.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')"
    )
    out = python(
        """
        import aioaug
        try:
            import imgaug.augmenters
        except ImportError as error:
            print(str(error))
            print("CAUSE", error.__cause__)
            print("AGAIN", isinstance(error.__cause__.__cause__, ImportError))
        """,
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    told = " ".join(out)
    assert "lacks libGL.so.1" in told
    remedy = "pip uninstall -y opencv-python && pip install "
    if IS_IMAUG:  # it requires both, so pip has to write the files of one anew
        remedy += "--force-reinstall --no-deps "
    assert remedy in told
    assert "CAUSE libGL.so.1: cannot open shared object file" in told
    assert "AGAIN False" in told


def test_other_import_errors_pass_unchanged(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('something else')")
    out = python(
        """
        import aioaug
        try:
            import imgaug
        except ImportError as error:
            print(error)
        """,
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    assert out == ["something", "else"]


def test_installing_again_changes_nothing():
    finders, function = list(sys.meta_path), imgaug.random.get_global_rng
    install()
    assert sys.meta_path == finders
    assert imgaug.random.get_global_rng is function


def state_of_global_rng():
    return imgaug.random.get_global_rng().state["state"]["state"].tolist()


def test_generators_are_copied_and_derived_as_imgaug_does():
    rng = imgaug.random.RNG(7)
    rng.generator.integers(9, size=3, dtype=np.int32)  # half a number is left over
    same = pickle.loads(pickle.dumps(rng))
    copied = pickle.loads(pickle.dumps(rng.copy()))
    assert str(copied.state) == str({**rng.state, "has_uint32": 0})
    seed = same.generator.integers(0, 2**31 - 1, size=2, dtype="int32")[1]
    spawned = np.random.SeedSequence(seed).spawn(3)
    derived = rng.derive_rngs_(3)
    wanted = [np.random.SFC64(each).state for each in spawned]
    assert [str(each.state) for each in derived] == [str(state) for state in wanted]


def test_trees_are_seeded_as_imgaug_does():
    one_of = iaa.OneOf([iaa.Add(1), iaa.Add(2)])
    tree = iaa.Sequential([iaa.Fliplr(0.5), iaa.Sometimes(0.5, one_of)])
    tree.append(iaa.Add(3, seed=9).to_deterministic())  # else it may have what 5 gives, by chance
    other = tree.deepcopy()
    tree.seed_(5)
    seed_augmenter(other, 5)
    states = [[str(a.random_state.state) for a in every(each)] for each in (tree, other)]
    assert states[0] == states[1]
    numbers = [[a.random_state.integers(0, 2**31) for a in every(each)] for each in (tree, other)]
    assert numbers[0] == numbers[1]
    assert len(set(numbers[0])) == len(numbers[0])


def test_what_only_looks_like_an_augmenter_is_seeded():
    class Holder:
        def __init__(self, augmenter):
            self.augmenter = augmenter

        def __getattr__(self, name):
            return getattr(self.augmenter, name)

    plain, holder = iaa.Fliplr(0.5), Holder(iaa.Fliplr(0.5))
    seed_augmenter(plain, 3)
    seed_augmenter(holder, 3)
    assert str(plain.random_state.state) == str(holder.random_state.state)


def every(augmenter):
    return [augmenter, *augmenter.get_all_children(flat=True)]


def test_private_rng_is_what_seeding_leaves():
    before = state_of_global_rng()
    with private_rng(7):
        private = state_of_global_rng()
        drawn = iap.Uniform(0, 1).draw_samples((3,)).tolist()
        assert imgaug.random.RNG(None).is_global_rng()
        assert imgaug.random.RNG.create_pseudo_random_().generator is not None
    assert state_of_global_rng() == before

    with private_rng(0):
        imgaug.random.seed(7)
        assert state_of_global_rng() == private
        assert iap.Uniform(0, 1).draw_samples((3,)).tolist() == drawn
    assert state_of_global_rng() == before


def test_private_rng_reaches_what_was_built_before_and_outlives_what_is_built_meanwhile():
    before = state_of_global_rng()
    older = imgaug.random.RNG(None)
    drawn = []
    for seed in (1, 1, 2):
        with private_rng(seed):
            newer = imgaug.random.RNG(None)
            copy = pickle.loads(pickle.dumps(newer))
            drawn.append((older.uniform(), newer.uniform()))
            assert not copy.is_global_rng()
            assert copy.uniform() == drawn[-1][0]
            assert older.is_global_rng()
            assert newer.is_global_rng()
    assert drawn[0] == drawn[1] != drawn[2]
    assert state_of_global_rng() == before
    assert newer.is_global_rng()
    assert newer.uniform() != drawn[2][0]
    assert state_of_global_rng() != before


def test_numpy_seeds_the_global_rng_when_the_program_first_asks_for_it():
    program = """
        import aioaug, numpy as np, imgaug.random as iarandom
        from aioaug._imgaug import private_rng
        {}
        np.random.seed(1)
        print(iarandom.RNG(None).uniform(), iarandom.get_global_rng().uniform(), np.random.rand())
    """
    plain = python(program.format(""))
    assert python(program.format("np.random.seed(5)")) == plain
    assert python(program.format("iarandom.RNG(5).uniform()")) == plain
    asked = "with private_rng(3): iarandom.RNG(None).uniform()"
    assert python(program.format(asked)) == plain


def test_private_rngs_nest():
    with private_rng(1):
        outer = state_of_global_rng()
        with private_rng(2):
            assert state_of_global_rng() != outer
        assert state_of_global_rng() == outer


def test_private_rng_is_seen_by_its_thread_alone():
    augmenter = iaa.Sequential([iaa.Rain(), iaa.Affine(rotate=(-90, 90))])
    both, seen = threading.Barrier(2), {}
    shared = state_of_global_rng()

    def work(seed):
        with private_rng(seed):
            both.wait(10)
            mine = augmenter.deepcopy()
            mine.seed_(seed)
            for i in range(3):
                seen[seed, i] = mine(images=NOISE), imgaug.random.get_global_rng().random((2,))
            both.wait(10)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state_of_global_rng() == shared

    for seed in (1, 2):
        with private_rng(seed):
            alone = augmenter.deepcopy()
            alone.seed_(seed)
            for i in range(3):
                images, numbers = alone(images=NOISE), imgaug.random.get_global_rng().random((2,))
                np.testing.assert_array_equal(seen[seed, i][0], images)
                np.testing.assert_array_equal(seen[seed, i][1], numbers)


@pytest.mark.filterwarnings("ignore::imgaug.imgaug.DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_background_augmenter_of_imgaug_seeds_its_worker():
    def batches():
        yield imgaug.Batch(images=NOISE)

    loader = BatchLoader(batches, threaded=True)
    augmenter = BackgroundAugmenter(loader, iaa.Add(1), nb_workers=1)
    try:
        assert augmenter.get_batch().images_aug.shape == NOISE.shape
        assert augmenter.get_batch() is None
        # A worker that is killed may keep the lock of a queue, for which the loader waits for ever.
        for worker in augmenter.workers:
            worker.join()
    finally:
        augmenter.terminate()
        loader.terminate()


@imgaug_only
def test_multicore_seeds_with_numpys_integers():
    state = random.getstate()
    try:
        imgaug.multicore.random.seed(np.int32(5))
        drawn = random.random()
        random.seed(5)
        assert drawn == random.random()
    finally:
        random.setstate(state)


@pytest.mark.parametrize("dtype", [bool, np.float16, np.float32])
@pytest.mark.parametrize(
    "augmenter",
    [
        iaa.Affine(rotate=30, backend="skimage"),
        iaa.Affine(rotate=30, backend="cv2"),
        iaa.PiecewiseAffine(0.05),
        iaa.ElasticTransformation(alpha=20, sigma=4, order=1),
    ],
    ids=["skimage", "cv2", "piecewise", "elastic"],
)
def test_warps_of_every_kind_of_number(augmenter, dtype):
    image = (NOISE[0] > 128).astype(dtype)
    warped = augmenter(image=image)
    assert warped.dtype == image.dtype
    assert 0 < warped.mean() < 1


def test_piecewise_affine_with_degenerate_triangles():
    image = np.full((20, 20, 3), 255, np.uint8)
    for seed in range(20):
        warp = iaa.PiecewiseAffine(scale=0.7, nb_rows=5, nb_cols=5, cval=10, seed=seed)
        warped = warp(image=image)
        assert set(np.unique(warped)) <= set(range(10, 256))
        assert (warped == 255).any()


@pytest.mark.parametrize("shape", [(1, 5, 3), (5, 1, 3), (1, 1, 3)])
def test_elastic_transformation_of_a_single_row(shape):
    """It hangs in OpenCV, where interpolation is cubic and edges are reflected."""
    image = np.full(shape, 9, np.uint8)
    augmenter = iaa.ElasticTransformation(alpha=200.0, sigma=3.0, order=3, mode="reflect", seed=1)
    for each in [augmenter] if IS_IMAUG else [augmenter, aioaug.fast.accelerate(augmenter)]:
        np.testing.assert_array_equal(each(images=[image])[0], image)


@pytest.mark.parametrize("shape", [(1, 35, 3), (35, 1, 3), (1, 35, 4), (1, 1, 1)])
def test_affine_transformation_of_a_single_row(shape):
    """It hangs in OpenCV, too."""
    image = np.full(shape, 9, np.uint8)
    options = {"rotate": 20, "scale": 0.9, "shear": 12, "order": 3, "mode": "reflect"}
    augmenter = iaa.Affine(**options, backend="cv2", seed=1)
    for each in [augmenter] if IS_IMAUG else [augmenter, aioaug.fast.exact(augmenter)]:
        for images in ([image], np.stack([image] * 2)):
            np.testing.assert_array_equal(each(images=images)[0], image)


def test_polar_warping_of_points():
    points = imgaug.KeypointsOnImage.from_xy_array(np.float32([[5, 6], [30, 20]]), NOISE[0].shape)
    kept = iaa.WithPolarWarping(iaa.Identity())(keypoints=points)
    np.testing.assert_allclose(kept.to_xy_array(), points.to_xy_array(), atol=0.01)


def test_polar_warping_of_a_picture_without_points():
    points = imgaug.KeypointsOnImage([], NOISE[0].shape)
    assert len(iaa.WithPolarWarping(iaa.Fliplr(1.0))(keypoints=points)) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_color_temperature_of_a_batch_is_that_of_its_images(count):
    kelvins = np.float32([1250, 4330, 7777, 9001, 2222][:count])
    images = np.repeat(NOISE[:1], count, axis=0)
    together = iaa.color.change_color_temperatures_(images.copy(), kelvins)
    for i, kelvin in enumerate(kelvins):
        alone = iaa.color.change_color_temperature(images[i].copy(), kelvin)
        np.testing.assert_array_equal(together[i], alone)


def test_pad_modes_are_the_same_in_every_process():
    program = """
        import aioaug, imgaug as ia, imgaug.augmenters as iaa, numpy as np, zlib
        image = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)
        pad = iaa.Pad(px=(1, 9), pad_mode=ia.ALL, seed=1)
        print(zlib.crc32(pad(images=np.stack([image] * 8)).tobytes()))
    """
    assert python(program, PYTHONHASHSEED="1") == python(program, PYTHONHASHSEED="2")
    assert iaa.Pad(1, pad_mode=imgaug.ALL).pad_mode.a == sorted(
        iaa.Pad(1, pad_mode=imgaug.ALL).pad_mode.a
    )


@imgaug_only
@pytest.mark.parametrize(
    "table", [iaa.Posterize(3), iaa.Solarize(1.0, threshold=128)], ids=["bits", "inverse"]
)
def test_tables_for_a_channel_that_was_cropped(table):
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    crop, pad = (kind((0, 1, 0, 0), keep_size=False) for kind in (iaa.Crop, iaa.Pad))
    [result] = iaa.WithChannels(0, [crop, table, pad])(images=[image])
    [expected] = table(images=[image[:, :5, :1]])
    assert np.array_equal(result[:, :5, :1], expected)
    assert np.array_equal(result[..., 1:], image[..., 1:])


def test_superpixels_average_every_segment():
    image = np.full((32, 32, 3), 20, np.uint8)
    image[:, 16:] = 200
    noisy = image + NOISE[0, :32, :32] % 10
    flat = iaa.Superpixels(p_replace=1.0, n_segments=4)(image=noisy)
    assert len(np.unique(flat.reshape(-1, 3), axis=0)) <= 8


def test_scipy_stats_stays_out_of_the_augmenters():
    out = python("""
        import sys
        import aioaug, imgaug.augmenters as iaa, numpy as np
        image = np.zeros((32, 32, 3), np.uint8)
        for augmenter in (iaa.RandAugment(), iaa.Fog(), iaa.UniformVoronoi(9)):
            augmenter(image=image)
        print("scipy.stats" in sys.modules)
    """)
    assert out == ["False"]
