"""VOC's masks beside its XML: read, moved with the pictures and their boxes, and written."""

from __future__ import annotations

import io

import imgaug.augmenters as iaa
import numpy as np
import pytest
from aioaug.cli import main
from aioaug.data import (
    Annotation,
    Coco,
    LabelmeWriter,
    LabelRules,
    MasksWriter,
    PictureLabels,
    Voc,
    VocWriter,
    YoloWriter,
)
from aioaug.data.opening import writer_for
from aioaug.data.voc_maps import VOC_COLOURS
from aioaug.errors import UnreadableLabelsError
from labels_testing import HEIGHT, WIDTH, augmented, coco_file, picture, write
from PIL import Image

FOLDERS = ("SegmentationClass", "SegmentationObject")
DOG, CAT, VOID = 12, 8, 255


def object_of(name, box):
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    sides = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    return f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"


def xml(name, *objects):
    return (
        f"<annotation><filename>{name}.png</filename><size><width>{WIDTH}</width>"
        f"<height>{HEIGHT}</height><depth>3</depth></size><segmented>1</segmented>"
        f"{''.join(objects)}</annotation>"
    )


def maps():
    """A dog and two cats with borders that are not labelled, and a dog that has no box."""
    classes, objects = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    for number, (kind, rows, columns) in enumerate(
        [
            (DOG, (10, 30), (20, 60)),
            (CAT, (35, 60), (5, 25)),
            (CAT, (35, 60), (30, 50)),
            (DOG, (40, 50), (70, 90)),
        ],
        1,
    ):
        for value, array in ((kind, classes), (number, objects)):
            array[slice(*rows), slice(*columns)] = VOID
            array[rows[0] + 2 : rows[1] - 2, columns[0] + 2 : columns[1] - 2] = value
    return classes, objects


def indexed(numbers, palette=VOC_COLOURS):
    image = Image.fromarray(numbers)
    image.putpalette([channel for colour in palette for channel in colour])
    return image


def voc_folder(folder, encode=indexed, folders=FOLDERS):
    picture(folder / "JPEGImages" / "a.png")
    picture(folder / "JPEGImages" / "b.png")
    (folder / "Annotations").mkdir()
    boxes = [("dog", (21, 11, 60, 30)), ("cat", (6, 36, 25, 60)), ("cat", (31, 36, 50, 60))]
    text = xml("a", *(object_of(*each) for each in boxes))
    (folder / "Annotations" / "a.xml").write_text(text)
    (folder / "Annotations" / "b.xml").write_text(xml("b", object_of("dog", (1, 1, 9, 9))))
    for name, numbers in zip(FOLDERS, maps(), strict=True):
        if name in folders:
            (folder / name).mkdir()
            encode(numbers).save(folder / name / "a.png")
    (folder / "ImageSets" / "Segmentation").mkdir(parents=True)
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("a\n")
    return folder


def maps_in(folder, name="a.png"):
    images = [Image.open(folder / each / name) for each in FOLDERS]
    assert [image.mode for image in images] == ["P", "P"]
    assert images[0].getpalette("RGB") == [channel for each in VOC_COLOURS for channel in each]
    return [np.array(image) for image in images]


def test_palettes_are_those_of_voc():
    # As the development kit's documentation lists them.
    assert VOC_COLOURS[DOG] == (64, 0, 128)
    assert VOC_COLOURS[CAT] == (64, 0, 0)
    assert VOC_COLOURS[20] == (0, 64, 128)
    assert VOC_COLOURS[VOID] == (224, 224, 192)


@pytest.mark.parametrize("folders", [FOLDERS, FOLDERS[:1], FOLDERS[1:]])
def test_masks_come_out_as_they_went_in(tmp_path, folders):
    source = voc_folder(tmp_path / "in", folders=folders)
    dataset = Voc(source)
    assert dataset.masks == folders
    assert dataset.classes[DOG - 1] == "dog"
    assert len(Voc(source, split="val")) == 1
    out = write(tmp_path / "out", dataset, writer_for("voc", dataset))
    for folder in folders:
        after, before = (np.array(Image.open(each / folder / "a.png")) for each in (out, source))
        assert np.array_equal(after, before)
        # A mask of zeros would say that there is nothing in this picture.
        assert not (out / folder / "b.png").exists()
    assert not set(FOLDERS) - {*folders} & {each.name for each in out.iterdir()}
    assert (out / "Annotations" / "a.xml").read_text().count("<object>") == 3
    assert (out / "ImageSets" / "Main" / "train.txt").read_text() == "a\nb\n"
    assert (out / "ImageSets" / "Segmentation" / "train.txt").read_text() == "a\n"
    assert not (out / "labelmap.txt").exists()


@pytest.mark.parametrize(
    ("augmenter", "expected"),
    [
        (iaa.Fliplr(1.0), lambda numbers: numbers[:, ::-1]),
        (iaa.Rot90(1, keep_size=False), lambda numbers: np.rot90(numbers, -1)),
    ],
)
def test_masks_move_with_their_boxes(tmp_path, augmenter, expected):
    dataset = Voc(voc_folder(tmp_path))
    moved, _ = augmented(dataset[0].labels, augmenter)
    boxes = [each.box for each in moved.annotations if each.box]
    alone, _ = augmented(Voc(voc_folder(tmp_path / "alone", folders=()))[0].labels, augmenter)
    assert boxes == [each.box for each in alone.annotations]
    files = writer_for("voc", dataset).label_files("a.png", moved)
    for folder, before in zip(FOLDERS, maps(), strict=True):
        after = np.array(Image.open(io.BytesIO(files[f"{folder}/a.png"])))
        assert np.array_equal(after, expected(before))


def test_objects_keep_their_numbers_together_when_one_is_lost(tmp_path):
    """What is left of its pixels stays, with a number that nothing else has."""
    dataset = Voc(voc_folder(tmp_path), rules=LabelRules(min_visibility=0.5))
    moved, _ = augmented(dataset[0].labels, iaa.Affine(translate_px={"y": -25}, order=0))
    files = writer_for("voc", dataset).label_files("a.png", moved)
    pngs = (io.BytesIO(files[f"{each}/a.png"]) for each in FOLDERS)
    classes, objects = (np.array(Image.open(png)) for png in pngs)
    assert files["Annotations/a.xml"].count(b"<name>cat") == 2
    assert files["Annotations/a.xml"].count(b"<name>dog") == 0
    cats = objects[12:33, 7:23], objects[12:33, 32:48]
    # The first and second object now.
    assert [{*each.ravel()} for each in cats] == [{1}, {2}]
    assert {*classes[12:33, 7:23].ravel()} == {CAT}
    for rows, columns in ((slice(0, 3), slice(22, 58)), (slice(17, 23), slice(72, 88))):
        assert {*classes[rows, columns].ravel()} == {DOG}
        assert {*objects[rows, columns].ravel()} in ({3}, {4})


def test_masks_in_the_colours_of_labelmap_txt(tmp_path):
    """As CVAT writes them; the numbers of objects have VOC's colours there."""
    colours = {0: (0, 0, 0), 1: (250, 50, 83), 2: (10, 20, 30), VOID: VOC_COLOURS[VOID]}
    numbers = {0: 0, DOG: 1, CAT: 2, VOID: VOID}

    def in_colours(array):
        table = {value: colours[number] for value, number in numbers.items()}
        if not {*array.ravel()} <= table.keys():
            table = dict(enumerate(VOC_COLOURS))
        pixels = [table[value] for value in array.ravel().tolist()]
        return Image.fromarray(np.array(pixels, np.uint8).reshape(*array.shape, 3))

    source = voc_folder(tmp_path / "in", in_colours)
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:250,50,83::\ncat:10,20,30::\n"
    (source / "labelmap.txt").write_text(text)
    dataset = Voc(source)
    assert dataset.classes == ("dog", "cat")
    out = write(tmp_path / "out", dataset, writer_for("voc", dataset))
    classes, objects = maps()
    with Image.open(out / "SegmentationClass" / "a.png") as image:
        assert image.getpalette("RGB")[3:9] == [250, 50, 83, 10, 20, 30]
        assert np.array_equal(image, np.select([classes == each for each in numbers],
                                               [*numbers.values()]))  # fmt: skip
    with Image.open(out / "SegmentationObject" / "a.png") as image:
        assert np.array_equal(image, objects)
    assert (out / "labelmap.txt").read_text() == text.partition("\n")[2]
    again = Voc(out)
    assert (again.classes, again.colours) == (dataset.classes, dataset.colours)
    Image.new("RGB", (WIDTH, HEIGHT), (1, 2, 3)).save(source / "SegmentationClass" / "a.png")
    with pytest.raises(UnreadableLabelsError, match=r"a.png: has the colour \(1, 2, 3\)"):
        dataset[0].labels.in_pixels((HEIGHT, WIDTH, 3))


def test_masks_in_other_formats(tmp_path):
    dataset = Voc(voc_folder(tmp_path / "in"))
    labels = dataset[0].labels.in_pixels((HEIGHT, WIDTH, 3))
    classes, _ = maps()
    out = write(tmp_path / "coco", dataset, writer_for("coco", dataset))
    annotations = Coco(out / "annotations.json", out / "images")[0].labels.annotations
    assert [each.mask.area() for each in annotations] == [16 * 36, 21 * 16, 21 * 16, 6 * 16]
    (text,) = YoloWriter(dataset.classes, "segment").label_files("a.png", labels).values()
    assert [int(line.split()[0]) for line in text.decode().splitlines()] == [11, 7, 7, 11]
    (png,) = MasksWriter(dataset.classes).label_files("a.png", labels).values()
    assert np.array_equal(Image.open(io.BytesIO(png)), np.where(classes == VOID, 0, classes))
    (text,) = LabelmeWriter(dataset.classes).label_files("a.png", labels).values()
    assert text.count(b'"shape_type"') == 4


def test_other_formats_become_masks(tmp_path):
    coco = Coco(coco_file(tmp_path / "in"), tmp_path / "in" / "images")
    out = write(tmp_path / "out", coco, writer_for("voc", coco))
    dataset = Voc(out)
    assert dataset.classes == ("person", "dog")  # as labelmap.txt lists them
    _, objects = (np.array(Image.open(out / folder / "a.png")) for folder in FOLDERS)
    assert {*np.unique(objects)} == {0, 2}
    labels = dataset[0].labels.in_pixels((HEIGHT, WIDTH, 3))
    assert [each.mask is not None for each in labels.annotations] == [False, True]


def test_masks_that_do_not_fit_are_refused(tmp_path):
    source = voc_folder(tmp_path)
    labels = Voc(source)[0].labels
    indexed(np.zeros((9, 8), np.uint8)).save(source / "SegmentationClass" / "a.png")
    with pytest.raises(UnreadableLabelsError, match=r"a.png: the mask has 8 x 9 pixels"):
        labels.in_pixels((HEIGHT, WIDTH, 3))
    indexed(np.full((HEIGHT, WIDTH), 21, np.uint8)).save(source / "SegmentationClass" / "a.png")
    with pytest.raises(UnreadableLabelsError, match=r"a.xml: there is no class with the number 21"):
        labels.in_pixels((HEIGHT, WIDTH, 3))
    square = Annotation(category=1, polygons=((1.0, 1.0, 5.0, 1.0, 5.0, 5.0),))
    many = PictureLabels(annotations=(square,) * 255, size=(WIDTH, HEIGHT))
    with pytest.raises(ValueError, match="at most 254 objects"):
        VocWriter(("cat", "dog"), masks=FOLDERS).label_files("a.png", many)


def test_the_command_line_writes_masks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    voc_folder(tmp_path / "in")
    main(["inspect", "in"])  # it finds that both pictures are the same
    assert "dog        3  in 2 pictures\ncat " in (told := capsys.readouterr().out)
    assert "(no class)" not in told
    arguments = ["--preset", "light", "--seed", "1", "--workers", "1", "--include-originals"]
    assert main(["augment", "in", "out", *arguments]) == 0
    assert all(
        np.array_equal(*pair) for pair in zip(maps_in(tmp_path / "out"), maps(), strict=True)
    )
    copies = maps_in(tmp_path / "out", "a-0.png")
    assert all({*np.unique(each)} > {0, VOID} for each in copies)
    assert main(["remake", "out", "0", "new.png"]) == 0
    for folder in FOLDERS:
        made = (tmp_path / f"new-{folder}.png").read_bytes()
        assert made == (tmp_path / "out" / folder / "a-0.png").read_bytes()
