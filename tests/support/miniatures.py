"""Every layout in miniature: written into the folder that a `product_folder` writes to."""

from collections.abc import Callable
from typing import Any

LIST_HEADER = "image,mask,product,defect,split\n"
VISA_HEADER = "object,split,label,image,mask\n"


def mvtec(product: Any) -> None:
    """Two normal images, one of them for testing, and one pit."""
    product.good(1).good(1, "test").defect("pit", 1)


def btad(product: Any) -> None:
    """Masks have another suffix than their images."""
    product.image("train/ok/0000.bmp")
    product.image("test/ok/0001.bmp")
    product.image("test/ko/0000.bmp")
    product.mask("ground_truth/ko/0000.png")


def visa_product(product: Any, name: str) -> None:
    """Two normal images and two anomalies, in a folder called `name` ('' = the top)."""
    top = f"{name}/" if name else ""
    for index in range(2):
        product.image(f"{top}Data/Images/Normal/{index:04d}.JPG")
        product.image(f"{top}Data/Images/Anomaly/{index:03d}.JPG")
        product.mask(f"{top}Data/Masks/Anomaly/{index:03d}.png")
    product.file(f"{top}image_anno.csv", b"image,label,mask\n")


def visa(product: Any) -> None:
    """Two products; the list of one class."""
    lines = []
    for name in ("candle", "fryum"):
        visa_product(product, name)
        images, masks = f"{name}/Data/Images", f"{name}/Data/Masks"
        lines += [
            f"{name},train,normal,{images}/Normal/0000.JPG,",
            f"{name},test,normal,{images}/Normal/0001.JPG,",
            *(f"{name},test,anomaly,{images}/Anomaly/00{i}.JPG,{masks}/Anomaly/00{i}.png" for i in range(2)),
        ]
    product.file("split_csv/1cls.csv", (VISA_HEADER + "\n".join(lines)).encode())


def kolektor_sdd2(product: Any) -> None:
    """A defect and a normal image in each split, and a pickle."""
    for split in ("train", "test"):
        for name, empty in (("10001", True), ("10002", False)):
            product.image(f"{split}/{name}.png")
            product.mask(f"{split}/{name}_GT.png", empty=empty)
    product.file("split_weakly.pyb", b"pickle")


def gdxray(product: Any) -> None:
    """Two welds with masks, and a series without."""
    for number in ("0001", "0002"):
        product.image(f"W0001/W0001_{number}.png")
        product.mask(f"W0002/W0002_{number}.png")
    product.image("W0003/W0003_0001.png")


def deepcrack(product: Any) -> None:
    """A crack to learn from and one to test on."""
    for split in ("train", "test"):
        product.image(f"{split}_img/1.jpg")
        product.mask(f"{split}_lab/1.png")


def plain(product: Any) -> None:
    """Two folders side by side, one of three masks black, and a folder of normal images."""
    for name in ("a", "b", "c"):
        product.image(f"Images/{name}.jpg")
        product.mask(f"labels/{name}.png", empty=name == "c")
    product.image("good/d.jpg")


def listing(product: Any) -> None:
    """A CSV file with two products."""
    product.image("shots/1.jpg")
    product.mask("shots/1.png")
    product.image("shots/2.jpg")
    product.image("shots/3.jpg")
    product.mask("shots/3.png")
    lines = [
        "shots/1.jpg,shots/1.png,bolt,deep dent,train",
        "shots/2.jpg,,bolt,OK,test",
        "shots/3.jpg,shots/3.png,nut,crack,",
    ]
    product.file("list.csv", (LIST_HEADER + "\n".join(lines)).encode())


MINIATURES: dict[str, Callable[[Any], None]] = {
    write.__name__: write for write in (visa, listing, deepcrack, gdxray, kolektor_sdd2, btad, mvtec, plain)
}
"""By name of the layout."""
