"""MVTec-AD: PRODUCT/train/good, PRODUCT/test/DEFECT and PRODUCT/ground_truth/DEFECT, a folder for each product."""

from pipeline_tasks.exports.content import Content, samples
from pipeline_tasks.exports.folder import Folder, safe_name
from pipeline_tasks.schema import GOOD

READING = f"""\
Layout of MVTec-AD, a folder for each product: `train/{GOOD}` and `test/{GOOD}` are real normal images (those of
`test/{GOOD}` were held out), `test/DEFECT` and `ground_truth/DEFECT` the generated images and their masks.

    from anomalib.data import MVTecAD
    data = MVTecAD(root="THIS FOLDER", category="PRODUCT")

What a detector scores on `test/DEFECT` is how well it finds generated defects. Judge it on real images."""


def write(content: Content, folder: Folder) -> None:
    """Write the version as MVTec-AD. Names of pairs have six digits: anomalib pairs images and masks as they sort."""
    for product, tables in content.products.items():
        for split, normals in (("train", tables.normals), ("test", tables.test_normals)):
            for sample in samples(normals):
                folder.write(f"{product}/{split}/{GOOD}/{safe_name(sample.source_path)}.png", sample.image)
    for at in content.pairs("export mvtec"):
        folder.write(f"{at.product}/test/{at.defect}/{at.number}.png", at.pair.image)
        folder.write(f"{at.product}/ground_truth/{at.defect}/{at.number}_mask.png", at.pair.mask)
