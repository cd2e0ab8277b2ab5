"""What is in lineage.json, for those who read one: it may be of any age, and from anywhere."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, StringConstraints

FORMAT = 1
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
"""DVC's MD5."""
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Previous(_Part):
    """The release before: its number, and the git commit that keeps its lock."""

    number: PositiveInt
    revision: Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]


class RecordedSample(_Part):
    """A real sample, or a counterpart of one, as schema.Sample has it."""

    source_path: str
    sha256: Sha256
    defect: str
    split: Literal["base", "test"]
    group: str | None
    derived_from: str | None


class RecordedDefect(_Part):
    """The pairs of a defect, see record.defect_record."""

    source: str
    digest: Digest
    pairs: NonNegativeInt
    rows_sha256: Sha256
    parents: dict[str, PositiveInt]
    normals: dict[str, PositiveInt]


class RecordedProduct(_Part):
    """A product: the generator of its pairs, its samples, and its defects by name."""

    generator: str
    samples: list[RecordedSample]
    defects: dict[str, RecordedDefect]


class RecordedGenerator(_Part):
    """A generator: DVC's MD5 of it and of what it started from, and the products that it learned from."""

    digest: Digest
    pretrained: Digest
    products: list[str]


class Record(_Part):
    """A lineage.json; version: what the dvc.lock is called (`Lock.version`)."""

    format: Literal[1]
    version: Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]
    number: PositiveInt
    previous: Previous | None
    products: dict[str, RecordedProduct]
    generators: dict[str, RecordedGenerator]
