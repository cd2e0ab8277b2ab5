"""Why a raw file was set aside: a closed list, each with what to do about it."""

from enum import StrEnum


class Reason(StrEnum):
    """Reasons in the set-aside table."""

    UNREADABLE_IMAGE = "unreadable image"
    UNREADABLE_MASK = "unreadable mask"
    NO_MASK = "no mask"
    NO_IMAGE = "mask without image"
    SECOND_MASK = "second mask"
    SIZE_MISMATCH = "mask of another size"
    EMPTY_MASK = "empty mask"
    DUPLICATE = "duplicate"
    NOT_AN_IMAGE = "not an image"
    OUTSIDE = "outside the data folder"
    MISPLACED = "misplaced"


REMEDY = {
    Reason.UNREADABLE_IMAGE: "export the image again",
    Reason.UNREADABLE_MASK: "export the mask again",
    Reason.NO_MASK: "add ground_truth/<defect>/<name>_mask.png",
    Reason.NO_IMAGE: "add the image or delete the mask",
    Reason.SECOND_MASK: "join the two into one file",
    Reason.SIZE_MISMATCH: "draw the mask at the image's size",
    Reason.EMPTY_MASK: "mark the defect in white in the mask, or move the image to good",
    Reason.DUPLICATE: "delete one of the two",
    Reason.NOT_AN_IMAGE: "remove it from the data folder",
    Reason.OUTSIDE: "replace the link by a copy of the file",
    Reason.MISPLACED: "move it to where the folder layout in README.md has it, then run `defectline catalog` again",
}
