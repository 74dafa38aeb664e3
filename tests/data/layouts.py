"""Tiny copies of the data sets' real layouts, for tests to open, damage and measure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from ssrnet.data.datasets import open_dataset
from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError

VERI_TRAIN = ("0001_c001_00016450_0.jpg", "0001_c002_00016455_0.jpg", "0003_c004_00001000_1.jpg")
VERI_QUERY = ("0002_c002_00030600_0.jpg", "0005_c003_00077720_0.jpg")
VERI_TEST = (
    "0002_c002_00030600_0.jpg",
    "0002_c002_00030605_1.jpg",
    "0002_c003_00084280_0.jpg",
    "0005_c003_00077720_0.jpg",
    "0005_c001_00021325_0.jpg",
)

MARKET_TRAIN = ("0002_c1s1_000451_03.jpg", "0007_c3s3_077419_03.jpg")
MARKET_QUERY = ("0003_c1s6_015971_00.jpg",)
MARKET_TEST = (
    "0003_c2s3_071002_01.jpg",
    "0003_c4s6_016021_00.jpg",
    "0000_c1s1_000151_01.jpg",
    "0000_c2s1_000301_00.jpg",
    "-1_c1s1_000401_03.jpg",
    "-1_c3s2_103127_04.jpg",
)


def jpeg(path: Path, color: str = "red", size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def write(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def folders(root: Path, images: dict[str, Sequence[str]]) -> Path:
    """``images``: file names by folder; a folder without names is made too."""
    for folder, names in images.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            jpeg(root / folder / name)
    return root


def veri(root: Path) -> Path:
    return folders(root, {"image_train": VERI_TRAIN, "image_query": VERI_QUERY, "image_test": VERI_TEST})


def veri_index(root: Path, gt: Sequence[str] = ("3", "5"), jk: Sequence[str] = ("1 2", "4")) -> Path:
    """The owners' index files for :func:`veri`; the defaults follow the junk rule."""
    write(root / "name_query.txt", VERI_QUERY)
    write(root / "name_test.txt", VERI_TEST)
    write(root / "gt_index.txt", gt)
    write(root / "jk_index.txt", jk)
    return root


def market(root: Path) -> Path:
    return folders(root, {"bounding_box_train": MARKET_TRAIN, "query": MARKET_QUERY, "bounding_box_test": MARKET_TEST})


def vehicleid(root: Path) -> Path:
    """Five training images; test subsets of 2 vehicles (5 images) and 3 vehicles (8 images)."""
    write(root / "train_test_split/train_list.txt", [f"{i:07d} 90{i % 2}" for i in range(1, 6)])
    two = [f"{i:07d} {100 + i % 2}" for i in range(10, 15)]
    write(root / "train_test_split/test_list_2.txt", two)
    write(root / "train_test_split/test_list_3.txt", [*two, "0000015 102", "0000016 102", "0000017 102"])
    for i in (*range(1, 6), *range(10, 18)):
        jpeg(root / f"image/{i:07d}.jpg")
    return root


def veri_wild(root: Path) -> Path:
    lists = root / "train_test_split"
    write(lists / "train_list.txt", ["00001/000001.jpg", "00001/000002.jpg"])
    write(lists / "test_3_query.txt", ["00007/000010", "00008/000020"])
    write(lists / "test_3.txt", ["00007/000011", "00007/000012", "00008/000021", "00009/000030"])
    write(lists / "test_5_query.txt", ["00007/000010"])
    write(lists / "test_5.txt", ["00007/000011"])
    images = (
        "00001/000001",
        "00001/000002",
        "00007/000010",
        "00007/000011",
        "00007/000012",
        "00008/000020",
        "00008/000021",
        "00009/000030",
    )
    taken = "2018-03-09 21:22:44;Volkswagen Lavida;Sedan;White"
    info = [f"{image};{40 + i};{taken}" for i, image in enumerate(images)]
    write(lists / "vehicle_info.txt", ["id/image;Camera ID;Time;Model;Type;Color", *info])
    for image in images:
        jpeg(root / f"images/{image}.jpg")
    return root


def vric(root: Path) -> Path:
    lists = {
        "vric_train.txt": ("train_images", ["a1.jpg 15 1", "a2.jpg 15 7"]),
        "vric_probe.txt": ("probe_images", ["MVI_20011_016_img00105.jpg 16 1", "MVI_3_1_img1.jpg 20 2"]),
        "vric_gallery.txt": ("gallery_images", ["MVI_20012_016_img00777.jpg 16 3", "MVI_4_1_img1.jpg 20 4"]),
    }
    for name, (folder, lines) in lists.items():
        write(root / name, lines)
        for line in lines:
            jpeg(root / folder / line.split()[0])
    return root


def cityflow(root: Path, test_labels: bool = True) -> Path:
    """Three training images, two queries and three gallery images, numbered anew in each folder as CityFlow's are.

    Queries and gallery are labelled unless the challenge keeps their labels.
    """
    train = {"000001.jpg": ("0269", "c026"), "000002.jpg": ("0269", "c027"), "000003.jpg": ("0270", "c026")}
    query = {"000001.jpg": ("0001", "c001"), "000002.jpg": ("0002", "c001")}
    gallery = {"000001.jpg": ("0001", "c002"), "000002.jpg": ("0002", "c003"), "000003.jpg": ("0002", "c001")}
    for split, labels, color in (("train", train, "red"), ("query", query, "green"), ("test", gallery, "blue")):
        for name in labels:
            jpeg(root / f"image_{split}" / name, color)
        known = test_labels or split == "train"
        cityflow_labels(root / f"{split}_label.xml", {name: label[not known :] for name, label in labels.items()})
    return root


def cityflow_labels(path: Path, labels: dict[str, Sequence[str]]) -> None:
    """A label file in gb2312 with ``labels`` (vehicle and camera, or camera alone) by image name."""
    items = [
        f'<Item imageName="{name}" '
        + (f'vehicleID="{label[0]}" ' if len(label) > 1 else "")
        + f'cameraID="{label[-1]}" 注="车"/>'
        for name, label in labels.items()
    ]
    head = f'<?xml version="1.0" encoding="gb2312"?>\n<TrainingImages Version="1.0"><Items number="{len(items)}">'
    path.write_bytes("\n".join([head, *items, "</Items></TrainingImages>"]).encode("gb2312"))


def vehicle_folders(root: Path, images: Sequence[str] = ("a.jpg", "b.jpg", "c.jpg")) -> Path:
    """``images`` of each of two vehicles, in a folder each."""
    return folders(root, dict.fromkeys(("0007", "truck"), images))


CSV_LINES = (
    "image,vehicle_id,split,camera_id,color",
    "a/1.jpg,v1,train,north,red",
    "a/2.jpg,v1,train,south,",
    "b/3.jpg,v2,query,north,blue",
    "b/4.jpg,v2,gallery,south,blue",
    "b/5.jpg,v3,test,south,green",
)


def csv_manifest(root: Path, lines: Sequence[str] = CSV_LINES, name: str = "manifest.csv") -> Path:
    for image in ("a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg", "b/5.jpg"):
        jpeg(root / image)
    write(root / name, lines)
    return root


def unlabelled(root: Path, images: Sequence[str] = ("a.jpg", "day/b.jpg", "night/c.jpg")) -> Path:
    """Images without labels, each of another colour, at these paths in ``root``."""
    for number, image in enumerate(images):
        jpeg(root / image, f"hsl({60 * number}, 80%, 50%)")
    return root


def records(counts: dict[str, int], camera: str | None = "c1", prefix: str = "") -> list[VehicleImage]:
    """``counts[vehicle]`` images of each vehicle, without files."""
    names = [(vehicle, f"{prefix}{vehicle}_{i}.jpg") for vehicle, count in counts.items() for i in range(count)]
    return [VehicleImage(Path("/nowhere") / name, name, vehicle, camera) for vehicle, name in names]


def dataset(
    train: Sequence[VehicleImage] = (),
    query: Sequence[VehicleImage] = (),
    gallery: Sequence[VehicleImage] = (),
    distractor_ids: Iterable[str] = (),
) -> ReIDDataset:
    return ReIDDataset(
        "toys",
        Path("/nowhere"),
        "CSV",
        "made by a test",
        train,
        query,
        gallery,
        "cross_camera",
        distractor_ids=frozenset(distractor_ids),
    )


def names(images: Iterable[VehicleImage]) -> list[str]:
    return [image.name for image in images]


def fails_to_open(root: Path, *parts: str, subset: int | None = None) -> None:
    """Opening ``root`` raises one sentence that holds ``parts`` in this order."""
    with pytest.raises(DataError) as caught:
        open_dataset(root, subset)
    message = str(caught.value)
    assert re.search(".*".join(map(re.escape, parts)), message), message
    assert message.endswith(".") and "\n" not in message
