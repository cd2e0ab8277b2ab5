"""Why a raw file was set aside: a closed list, each with what to do about it."""

from enum import StrEnum


class Reason(StrEnum):
    """Reasons in the set-aside table."""

    UNREADABLE_IMAGE = "unreadable image"
    UNREADABLE_MASK = "unreadable mask"
    TOO_LARGE = "too large"
    NO_MASK = "no mask"
    NO_IMAGE = "mask without image"
    SECOND_MASK = "second mask"
    SIZE_MISMATCH = "mask of another size"
    EMPTY_MASK = "empty mask"
    FULL_MASK = "mask marks everything"
    DUPLICATE = "duplicate"
    NOT_AN_IMAGE = "not an image"
    OUTSIDE = "outside the data folder"
    MISPLACED = "misplaced"
    MISSING = "missing file"
    BAD_ENTRY = "unusable line"
    WITHDRAWN = "withdrawn"


REMEDY = {
    Reason.UNREADABLE_IMAGE: "export the image again",
    Reason.UNREADABLE_MASK: "export the mask again",
    Reason.TOO_LARGE: "scale it down or cut it up, or raise the limit in params.yaml",
    Reason.NO_MASK: "add a mask of the image where the layout has it",
    Reason.NO_IMAGE: "add the image or delete the mask",
    Reason.SECOND_MASK: "join the two into one file",
    Reason.SIZE_MISMATCH: "draw the mask at the image's size",
    Reason.EMPTY_MASK: "mark the defect in white in the mask, or move the image to the normal ones",
    Reason.FULL_MASK: "mark the defect in white and the rest in black",
    Reason.DUPLICATE: "delete one of the two",
    Reason.NOT_AN_IMAGE: "remove it from the data folder",
    Reason.OUTSIDE: "put a copy of the file into the data folder",
    Reason.MISPLACED: "move it to where its layout has it, then run `defectline catalog` again",
    Reason.MISSING: "add the file or delete the line that names it",
    Reason.BAD_ENTRY: "correct the line",
    Reason.WITHDRAWN: "nothing; `defectline withdraw PRODUCT SAMPLE --undo` puts it back",
}
