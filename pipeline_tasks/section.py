"""What a section of params.yaml is, and the types of its values."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
UNetWidth = Annotated[int, Field(gt=0, multiple_of=8)]
Threads = Annotated[PositiveInt, Field(description="CPU threads")]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


def _check_defect(name: str) -> str:
    if name == "good":
        raise ValueError("'good' names what has no defect; give the defect another name")
    return name


DefectWords = Annotated[str, Field(pattern=r"^\S+( \S+)*$"), AfterValidator(_check_defect)]


class Section(BaseModel):
    """A section of params.yaml: immutable; unknown keys, values of another type, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
