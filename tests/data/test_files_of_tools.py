"""Files as other programs write them, made by hand after these programs' documentation."""

from __future__ import annotations

import json
import math

import imgaug.augmenters as iaa
import pytest
from aioaug.data import Coco, CocoWriter, Labelme, LabelmeWriter, Via, ViaWriter, Voc, Yolo
from aioaug.data.opening import format_of, open_dataset, writer_for
from aioaug.errors import UnreadableLabelsError
from labels_testing import HEIGHT, WIDTH, augmented, picture, with_junk, write


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("prefix", ["", "data/"])
def test_darknets_yolo_of_cvat(tmp_path, prefix):
    for subset in ("train", "valid"):
        folder = f"obj_{subset}_data"
        picture(tmp_path / folder / f"{subset}.png")
        save(tmp_path / folder / f"{subset}.txt", "1 0.5 0.5 0.25 0.5\n")
        save(tmp_path / f"{subset}.txt", f"{prefix}{folder}/{subset}.png\n")
    save(
        tmp_path / "obj.data",
        f"classes = 2\ntrain = {prefix}train.txt\nvalid = {prefix}valid.txt\n"
        f"names = {prefix}obj.names\nbackup = backup/\n",
    )
    save(tmp_path / "obj.names", "cat\ndog\n")
    assert format_of(tmp_path) == format_of(tmp_path / "obj.data") == "yolo"
    dataset = open_dataset(tmp_path, "yolo")
    assert dataset.classes == ("cat", "dog")
    assert [sample.labels.categories.tolist() for sample in dataset] == [[1], [1]]
    out = write(tmp_path / "out", dataset, writer_for("yolo", dataset))
    assert (out / "labels" / "val" / "valid.txt").read_text() == "1 0.5 0.5 0.25 0.5\n"
    assert [len(Yolo(out, split=split)) for split in ("train", "val")] == [1, 1]


def test_a_broken_file_of_darknets_is_refused(tmp_path):
    save(tmp_path / "obj.data", "names = ../obj.names\n")
    save(tmp_path.parent / "obj.names", "cat\n")
    with pytest.raises(UnreadableLabelsError, match=r"obj.data: names: .*leads out of"):
        Yolo(tmp_path)
    save(tmp_path / "obj.data", "names\n")
    with pytest.raises(UnreadableLabelsError, match="line 1: must be a name"):
        Yolo(tmp_path)


def coco_row(number, **more):
    return {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 800.0,
            "bbox": [10.0, 10.0, 40.0, 20.0], "segmentation": [], **more}  # fmt: skip


def test_coco_of_cvat(tmp_path):
    """It has a mask as run lengths or polygons, and the attributes of the user."""
    picture(tmp_path / "images" / "default" / "a.png")
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "url": "", "version": "", "year": ""},
        "categories": [{"id": 1, "name": "cat", "supercategory": ""}],
        "images": [{"id": 1, "width": WIDTH, "height": HEIGHT, "file_name": "a.png", "license": 0,
                    "flickr_url": "", "coco_url": "", "date_captured": 0}],
        "annotations": [
            coco_row(1, attributes={"occluded": False, "rotation": 0.0}),
            coco_row(2, segmentation=[[10.0, 10.0, 50.0, 10.0, 50.0, 30.0, 10.0, 30.0]],
                     attributes={"occluded": True}),
            coco_row(3, iscrowd=1, area=1.0, segmentation={
                "counts": [5, 1, WIDTH * HEIGHT - 6], "size": [HEIGHT, WIDTH]}),
        ],
    }  # fmt: skip
    save(tmp_path / "annotations" / "instances_default.json", content)
    assert format_of(tmp_path) == "coco"
    dataset = open_dataset(tmp_path, "coco")
    out = write(tmp_path / "out", dataset, CocoWriter(dataset.classes, dataset.header))
    assert json.loads((out / "annotations.json").read_text()) == content


def test_coco_of_label_studio(tmp_path):
    """Its ids begin at 0, and on Windows its names have backslashes."""
    picture(tmp_path / "images" / "1f-a.png")
    content = {
        "images": [{"width": WIDTH, "height": HEIGHT, "id": 0, "file_name": "images\\1f-a.png"}],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [coco_row(0, image_id=0, category_id=1, ignore=0)],
        "info": {"year": 2026, "version": "1.0", "contributor": "Label Studio"},
    }
    save(tmp_path / "result.json", content)
    assert format_of(tmp_path) == "coco"
    (sample,) = open_dataset(tmp_path, "coco")
    assert (sample.image.name, sample.labels.categories.tolist()) == ("images/1f-a.png", [1])
    assert sample.image.read()


def test_coco_of_vgg_image_annotator(tmp_path):
    """Its numbers of pictures are text, and its polygons are no lists of polygons."""
    picture(tmp_path / "a.png")
    content = {
        "info": {}, "licenses": [{"id": 0, "name": "Unknown License", "url": ""}],
        "categories": [{"supercategory": "kind", "id": 1, "name": "cat"}],
        "images": [{"id": 1, "width": WIDTH, "height": HEIGHT, "file_name": "a.png", "license": 0,
                    "date_captured": ""}],
        "annotations": [coco_row(0, image_id="1", segmentation=[10, 10, 50, 10, 50, 30, 10, 30])],
    }  # fmt: skip
    save(tmp_path / "via_project_1Jan2026_coco.json", content)
    assert format_of(tmp_path) == "coco"
    (annotation,) = open_dataset(tmp_path, "coco")[0].labels.annotations
    assert annotation.polygons == ((10, 10, 50, 10, 50, 30, 10, 30),)


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def via_picture():
    return {
        "filename": "a.png", "size": 8190, "file_attributes": {"caption": "", "public": {"no": 1}},
        "regions": [
            region({"name": "rect", "x": 10, "y": 20, "width": 30, "height": 15},
                   name="a", kind="cat"),
            region({"name": "circle", "cx": 40, "cy": 30, "r": 10}, kind="dog"),
            region({"name": "ellipse", "cx": 50, "cy": 30, "rx": 20, "ry": 8, "theta": 0.332},
                   kind="cat"),
            region({"name": "polygon", "all_points_x": [10, 40, 30], "all_points_y": [10, 12, 50]},
                   kind="bird"),
            region({"name": "polyline", "all_points_x": [1, 30], "all_points_y": [2, 40]}, kind=""),
            region({"name": "point", "cx": 9, "cy": 8}),
        ],
    }  # fmt: skip


def via_project(folder):
    picture(folder / "pictures" / "a.png")
    kinds = {"cat": "", "dog": "", "cow": ""}
    content = {
        "_via_settings": {"ui": {"leftsidebar_width": 18}, "project": {"name": "mine"},
                          "core": {"buffer_size": 18, "filepath": {},
                                   "default_filepath": "./pictures/"}},
        "_via_img_metadata": {"a.png8190": via_picture()},
        "_via_attributes": {
            "region": {"name": {"type": "text", "description": "", "default_value": ""},
                       "kind": {"type": "dropdown", "description": "", "options": kinds,
                                "default_options": {}}},
            "file": {"caption": {"type": "text"}}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": ["a.png8190"],
    }  # fmt: skip
    return save(folder / "via_project_1Jan2026_10h30m.json", content), content


def test_projects_of_vgg_image_annotator(tmp_path):
    file, before = via_project(tmp_path / "in")
    assert format_of(file) == format_of(file.parent) == "via"
    dataset = open_dataset(file.parent, "via")
    assert (dataset.attribute, dataset.classes) == ("kind", ("cat", "dog", "cow", "bird"))
    labels = dataset[0].labels
    assert labels.categories.tolist() == [0, 1, 0, 3, -1, -1]
    assert labels.annotations[0].box == (10, 20, 40, 35)
    assert labels.annotations[1].own_area() == pytest.approx(math.pi * 100, rel=0.005)
    assert labels.annotations[2].own_area() == pytest.approx(math.pi * 160, rel=0.005)

    out = write(tmp_path / "out", dataset, writer_for("via", dataset))
    after = json.loads((out / "via_project.json").read_text())
    # The size of a file is its own, so it is not known, which is -1, as for pictures of servers.
    row = before["_via_img_metadata"].pop("a.png8190") | {"size": -1}
    assert after.pop("_via_img_metadata") == {"a.png-1": row}
    assert after.pop("_via_image_id_list") == ["a.png-1"]
    before["_via_settings"]["core"]["default_filepath"] = ""
    del before["_via_image_id_list"], before["_via_img_metadata"]
    assert after == before
    again = Via(out / "via_project.json")
    assert again[0].labels.annotations == labels.annotations


def test_shapes_of_vgg_image_annotator_move(tmp_path):
    file, _ = via_project(tmp_path)
    dataset = Via(file)
    writer = ViaWriter(dataset.classes, dataset.header, dataset.attribute)

    def shapes(augmenter):
        moved, _ = augmented(dataset[0].labels, augmenter)
        regions = writer.record("a.png", moved)["regions"]
        return [each["shape_attributes"] for each in regions]

    box, circle, ellipse, *_, line, point = shapes(iaa.Fliplr(1.0))
    assert box == {"name": "rect", "x": 56, "y": 20, "width": 30, "height": 15}
    assert circle == {"name": "circle", "cx": 56, "cy": 30, "r": 10}
    assert ellipse | {"theta": 0} == {
        "name": "ellipse", "cx": 46, "cy": 30, "rx": 20, "ry": 8, "theta": 0,
    }  # fmt: skip
    assert ellipse["theta"] % math.pi == pytest.approx(math.pi - 0.332, abs=1e-3)
    assert line["all_points_x"] == [95, 66]
    assert (point["cx"], point["cy"]) == (87, 8)

    _, circle, ellipse, *_ = shapes(iaa.Affine(shear=20))
    assert (circle["name"], ellipse["name"]) == ("ellipse", "ellipse")
    for shape, area in ((circle, 100), (ellipse, 160)):  # which a shear keeps
        assert shape["rx"] * shape["ry"] == pytest.approx(area, rel=0.005)
    _, circle, *_ = shapes(iaa.Affine(translate_px={"x": -36}))
    assert circle["name"] == "polygon"


def test_annotations_that_vgg_image_annotator_exports(tmp_path):
    """Only the pictures, without the rest of the project; version 1 numbers the regions."""
    picture(tmp_path / "a.png")
    row = via_picture()
    row["regions"] = dict(enumerate(row["regions"]))
    save(tmp_path / "via_region_data.json", {"a.png8190": row})
    assert format_of(tmp_path) == "via"
    dataset = Via(tmp_path / "via_region_data.json", attribute="kind")
    assert dataset.classes == ("bird", "cat", "dog")
    assert len(dataset[0].labels.annotations) == 6
    out = write(tmp_path / "out", dataset, LabelmeWriter(dataset.classes))
    kinds = [shape["shape_type"] for shape in json.loads((out / "a.json").read_text())["shapes"]]
    assert kinds == ["rectangle", "polygon", "polygon", "polygon", "line", "point"]


def test_labels_of_other_formats_become_a_project(tmp_path):
    file, _ = via_project(tmp_path)
    through = write(tmp_path / "labelme", Via(file), LabelmeWriter(Via(file).classes))
    labelme = Labelme(through)
    out = write(tmp_path / "out", labelme, writer_for("via", labelme))
    dataset = Via(out / "via_project.json")
    names = [(*dataset.classes, None)[place] for place in dataset[0].labels.categories]
    assert names == ["cat", "dog", "cat", "bird", None, None]
    assert dataset[0].labels.boxes == pytest.approx(Via(file)[0].labels.boxes, abs=1e-3)


def test_what_has_no_class_is_left_out_where_it_needs_one(tmp_path):
    file, content = via_project(tmp_path)
    content["_via_img_metadata"]["a.png8190"]["regions"][0]["region_attributes"] = {}
    dataset = Via(save(file, content))
    out = write(tmp_path / "coco", dataset, writer_for("coco", dataset))
    assert len(Coco(out / "annotations.json", out / "images")[0].labels.annotations) == 3
    out = write(tmp_path / "voc", dataset, writer_for("voc", dataset))
    assert len(Voc(out)[0].labels.annotations) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filename": "../a.png"}, "a.png8190: '../a.png' leads out of"),
        ({"filename": "b.png"}, "a.png8190: there is no picture .*b.png"),
        ({"regions": [region({"name": "rect", "x": 1, "y": 1, "width": -1, "height": 2})]},
         r"regions\[0\]: the box has a negative width"),
        ({"regions": [region({"name": "circle", "cx": 1, "cy": None, "r": 2})]},
         r"regions\[0\]: cy must be a number, got None"),
        ({"regions": [region({"name": "star"})]}, r"regions\[0\]: the shape 'star' is not known"),
        ({"regions": [region({"name": "polygon", "all_points_x": [1, 2, 3],
                              "all_points_y": [1, 2]})]}, "got 3 x, 2 y"),
        ({"regions": [7]}, r"regions\[0\]: must have shape_attributes"),
    ],
)  # fmt: skip
def test_broken_projects_are_refused(tmp_path, change, message):
    file, content = via_project(tmp_path)
    content["_via_img_metadata"]["a.png8190"] |= change
    with pytest.raises(UnreadableLabelsError, match=message):
        Via(save(file, content))


def test_whatever_stands_in_a_project_it_is_read_or_refused(tmp_path):
    file, content = via_project(tmp_path)
    messages = []
    for text in with_junk(json.dumps(content), 150):
        save(file, text)
        try:
            dataset = Via(file)
            writer = ViaWriter(dataset.classes, dataset.header, dataset.attribute)
            for sample in dataset:
                labels = sample.labels.in_pixels((HEIGHT, WIDTH, 3))
                labels.columns((HEIGHT, WIDTH, 3))
                writer.dataset_files([writer.record("a.png", labels)])
        except UnreadableLabelsError as error:
            messages.append(str(error))
    assert 25 < len(messages) < 125
    assert not any("\n" in message for message in messages)


def test_voc_of_cvat_is_listed_in_default_txt(tmp_path):
    picture(tmp_path / "JPEGImages" / "a.png")
    save(tmp_path / "ImageSets" / "Main" / "default.txt", "a\n")
    save(
        tmp_path / "Annotations" / "a.xml",
        "<annotation><folder/><filename>a.png</filename><size><width>96</width><height>64</height>"
        "<depth/></size><segmented>0</segmented><object><name>cat</name><truncated>0</truncated>"
        "<occluded>0</occluded><difficult>0</difficult><bndbox><xmin>0.0</xmin><ymin>10.52</ymin>"
        "<xmax>20.0</xmax><ymax>30.5</ymax></bndbox></object></annotation>",
    )
    assert format_of(tmp_path) == "voc"
    assert Voc(tmp_path, split="default")[0].labels.annotations[0].box == (0, 10.52, 20, 30.5)
    assert len(Coco(write(tmp_path / "out", Voc(tmp_path), CocoWriter(["cat"])) /
                    "annotations.json", tmp_path / "out" / "images")) == 1  # fmt: skip


def roboflow_coco(folder, split, number, name="cat"):
    """A split as Roboflow exports it: the ids of each begin anew."""
    picture(folder / split / f"{split}.png")
    content = {
        "info": {"description": "Exported from roboflow.com"},
        "images": [{"id": 0, "file_name": f"{split}.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": name, "supercategory": "pets"}],
        "annotations": [
            coco_row(each, image_id=0, bbox=[each, 10, 40, 20]) for each in range(number)
        ],
    }
    return save(folder / split / "_annotations.coco.json", content)


def test_coco_of_roboflow(tmp_path):
    """All splits of an export are a dataset, and so is each of them."""
    for number, split in enumerate(("test", "train", "valid"), 1):
        roboflow_coco(tmp_path / "in", split, number)
    assert format_of(tmp_path / "in") == "coco"
    dataset = open_dataset(tmp_path / "in", "coco")
    names = ["test/test.png", "train/train.png", "valid/valid.png"]
    assert [sample.image.name for sample in dataset] == names
    assert all(sample.image.read() for sample in dataset)
    assert [sample.labels.id for sample in dataset] == [0, 1, 2]
    ids = [[each.id for each in sample.labels.annotations] for sample in dataset]
    assert ids == [[0], [1, 2], [3, 4, 5]]
    out = write(tmp_path / "out", dataset, writer_for("coco", dataset))
    again = Coco(out / "annotations.json")
    assert [sample.labels.annotations for sample in again] == [
        sample.labels.annotations for sample in dataset
    ]
    assert again.header["info"] == {"description": "Exported from roboflow.com"}
    (sample,) = open_dataset(tmp_path / "in", "coco", "valid")
    assert [each.id for each in sample.labels.annotations] == [0, 1, 2]
    with pytest.raises(UnreadableLabelsError, match="no split 'val', only test, train, valid"):
        open_dataset(tmp_path / "in", "coco", "val")
    roboflow_coco(tmp_path / "in", "valid", 1, name="dog")
    with pytest.raises(UnreadableLabelsError, match="test, train, valid have not the same cat"):
        open_dataset(tmp_path / "in", "coco")
