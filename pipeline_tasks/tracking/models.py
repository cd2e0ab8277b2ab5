"""Registered models in MLflow: versions with tags, and which of them is the champion.

A version is created with all its tags at once and found again by one of them, so that registering twice makes one
version. What was decided of it is among these tags, and the aliases follow from it once; it is decided again only by
`judge_again`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pipeline_tasks.errors import ConfigError, without_secrets
from pipeline_tasks.tracking.logged_models import FILES_TAG, every, uploaded
from pipeline_tasks.tracking.run import LOCK_TAG, Run
from pipeline_tasks.tracking.store import names_errors

Alias = Literal["champion", "challenger"]
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
STANDING_TAG = "defectline.standing"
"""What a gate made of the version, champion or challenger, whatever a person makes of it later."""
REASON_TAG = "defectline.reason"
COMPARED_TAG = "defectline.compared_with"
"""The number of the version that was champion when the gate decided; none if there was none."""
SETTLED_TAG = "defectline.settled"
"""That the version has been given its alias, or why not. From then on only a person or a later version moves it."""
PROMOTIONS_TAG = "defectline.promotions"
"""Every time that a person made the version the champion, as JSON: by, at, reason, and `other`, the one before."""
DEMOTIONS_TAG = "defectline.demotions"
"""The same of the version that ceased to be the champion; `other` is the one that took its place."""
PREFIX = "defectline-"
DESCRIPTION_CHARACTERS = 5000
"""Longest description that MLflow's databases hold."""


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model: its number, from "1" on, its tags, and the run that made it, "" for none."""

    model: str
    number: str
    source: str
    tags: Mapping[str, str]
    run_id: str = ""

    @property
    def standing(self) -> Alias:
        """What a gate made of it."""
        return CHAMPION if self.tags[STANDING_TAG] == CHAMPION else CHALLENGER

    @property
    def uri(self) -> str:
        """Where MLflow loads it from, by its number."""
        return f"models:/{self.model}/{self.number}"

    @property
    def model_id(self) -> str:
        """The id of the logged model that holds its files."""
        return self.source.removeprefix("models:/")


@dataclass(frozen=True)
class Act:
    """Who promotes a version by hand, when (ISO 8601, UTC), and why."""

    by: str
    at: str
    reason: str


@dataclass(frozen=True)
class Champion:
    """The champion of a model: its number, and the act by which a person made it that, if one did."""

    number: str
    act: Act | None


def model_name(product: str, kind: str) -> str:
    """Return the name of a registered model: a product's data set ("dataset") or detector (its kind), a "generator"."""
    return f"{PREFIX}{product}-{kind}"


def check_made_by(command: str, found: ModelVersion, needed: Collection[str]) -> None:
    """Raise ConfigError for a version that lacks tags which `defectline COMMAND` gives each of its own."""
    if lacking := [tag for tag in needed if tag not in found.tags]:
        raise ConfigError(
            f"{found.model} version {found.number} in MLflow: without the tags {', '.join(lacking)}, so not one that "
            f"`defectline {command}` made; make one of those the champion with `defectline promote`"
        )


class Models:
    """The registered models of an MLflow store, which `client` speaks to; `uri` is told in errors."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client = client
        self.uri = uri

    @names_errors
    def register(
        self, run: Run, model: str, folder: Path, key: str, tags: Mapping[str, str], description: str = ""
    ) -> ModelVersion:
        """Return the version of `model` with the value of `tags` for `key`; without one, `folder` becomes it.

        The version that is found keeps its own tags and description. A new one gets FILES_TAG as well.
        """
        return self.find(model, key, tags[key]) or self._create(run, model, folder, key, tags, description)

    @names_errors
    def names(self) -> list[str]:
        """Return the names of the models that are registered by this project, in their order."""
        return sorted(model.name for model in every(self._client.search_registered_models, f"name LIKE '{PREFIX}%'"))

    @names_errors
    def versions(self, model: str) -> list[ModelVersion]:
        """Return all versions of `model` in the order of their numbers; none of one that is not registered."""
        found = every(self._client.search_model_versions, f"name = '{model}'")
        return sorted(map(_version, found), key=lambda version: int(version.number))

    @names_errors
    def by_alias(self, model: str, alias: str) -> ModelVersion | None:
        """Return the version of `model` with an alias; None if none has it."""
        number = self._aliases(model).get(alias)
        return self._get(model, number) if number else None

    @names_errors
    def by_uri(self, uri: str) -> ModelVersion | None:
        """Return the version with this `uri`; None if there is none."""
        model = uri.removeprefix("models:/").rpartition("/")[0]
        return next((version for version in self.versions(model) if version.uri == uri), None)

    @names_errors
    def add_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
        """Give a version further tags, and return it with them."""
        for tag, value in tags.items():
            self._client.set_model_version_tag(version.model, version.number, tag, value)
        return self._get(version.model, version.number)

    @names_errors
    def find(self, model: str, key: str, value: str) -> ModelVersion | None:
        """Return the newest version of `model` with the tag `key` = `value`."""
        found = self._client.search_model_versions(f"name = '{model}' and tag.`{key}` = '{value}'")
        return max(map(_version, found), key=lambda version: int(version.number), default=None)

    def champion(self, model: str) -> ModelVersion | None:
        """Return the version of `model` with the alias champion."""
        return self.by_alias(model, CHAMPION)

    @names_errors
    def present_champion(self, version: ModelVersion) -> Champion | None:
        """Return who is the champion of a version's model once that version is settled, whether it is yet or not."""
        known, aliases = self._get(version.model, version.number), self._aliases(version.model)
        if SETTLED_TAG not in known.tags and _alias_due(known, aliases) == CHAMPION:
            aliases |= {CHAMPION: known.number}
        if CHAMPION not in aliases:
            return None
        acts = _acts(self._get(version.model, aliases[CHAMPION]), PROMOTIONS_TAG)
        return Champion(aliases[CHAMPION], Act(*(acts[-1][part] for part in ("by", "at", "reason"))) if acts else None)

    @names_errors
    def settle(self, version: ModelVersion) -> None:
        """Give a version the alias that its standing says, once.

        None is given where the champion is no longer the one that the gate compared with, or a newer version is the
        challenger: what was done since then stays, and the tag `settled` says so.
        """
        known = self._get(version.model, version.number)
        if SETTLED_TAG in known.tags:
            return
        aliases = self._aliases(version.model)
        alias = _alias_due(known, aliases)
        if alias:
            self._client.set_registered_model_alias(known.model, alias, known.number)
        outcome = alias or "none, as " + ", ".join(f"version {aliases[name]} is the {name}" for name in sorted(aliases))
        self._client.set_model_version_tag(known.model, known.number, SETTLED_TAG, outcome)

    @names_errors
    def judge_again(self, version: ModelVersion, standing: Alias, reason: str, compared_with: str) -> ModelVersion:
        """Put a version's standing anew, against another champion than it was compared with; `settle` follows.

        The tag `compared_with` is put last: where that was cut short, the version can be seen to be still unjudged.
        """
        self._client.delete_model_version_tag(version.model, version.number, SETTLED_TAG)
        for tag, value in ((STANDING_TAG, standing), (REASON_TAG, reason), (COMPARED_TAG, compared_with)):
            self._client.set_model_version_tag(version.model, version.number, tag, value)
        return self._get(version.model, version.number)

    @names_errors
    def promote(self, model: str, wanted: str, act: Act) -> tuple[ModelVersion, str | None]:
        """Make a version the champion by hand: the one with the number, or of the version in dvc.lock, `wanted`.

        Returns it and the number of the champion before it, if any; its own where it has been the champion already,
        and then nothing is recorded anew. Raises ConfigError if there is no such version.
        """
        version = self._wanted(model, wanted)
        before = self._aliases(model).get(CHAMPION)
        if before != version.number:
            self._record(version, PROMOTIONS_TAG, {**asdict(act), "other": before})
            self._client.set_registered_model_alias(model, CHAMPION, version.number)
        self._follow_up(self._get(model, version.number))
        return version, before

    def _follow_up(self, promoted: ModelVersion) -> None:
        """Do what follows from the last promotion, unless it is done: its other side, and no alias but champion."""
        acts = _acts(promoted, PROMOTIONS_TAG)
        if acts and acts[-1]["other"]:
            demoted = self._get(promoted.model, acts[-1]["other"])
            act = {**acts[-1], "other": promoted.number}
            if act not in _acts(demoted, DEMOTIONS_TAG):
                self._record(demoted, DEMOTIONS_TAG, act)
        if self._aliases(promoted.model).get(CHALLENGER) == promoted.number:
            self._client.delete_registered_model_alias(promoted.model, CHALLENGER)

    def _record(self, version: ModelVersion, tag: str, act: Mapping[str, Any]) -> None:
        acts = json.dumps([*_acts(version, tag), act])
        self._client.set_model_version_tag(version.model, version.number, tag, acts)

    def _wanted(self, model: str, wanted: str) -> ModelVersion:
        versions = self.versions(model)
        matching = [version for version in versions if wanted in (version.number, version.tags.get(LOCK_TAG))]
        if len(matching) == 1:
            return matching[0]
        problem = f"{len(matching)} versions are of {wanted}, give the number of one" if matching else f"no {wanted}"
        raise ConfigError(f"{model} in MLflow at {without_secrets(self.uri)}: {problem}; {self._known(versions)}")

    def _known(self, versions: list[ModelVersion]) -> str:
        """Say which versions there are, or else which models."""
        if versions:
            return "there are " + ", ".join(f"{v.number} ({v.tags.get(LOCK_TAG, 'of no version')})" for v in versions)
        models = self.names()
        return (
            f"the models there are: {', '.join(models)}" if models else "no model is there, run `defectline register`"
        )

    def _aliases(self, model: str) -> dict[str, str]:
        """Return the number of the version of each alias; none of a model that is not registered."""
        found = self._client.search_registered_models(f"name = '{model}'")
        return {alias: str(number) for alias, number in found[0].aliases.items()} if found else {}

    def _get(self, model: str, number: str) -> ModelVersion:
        return _version(self._client.get_model_version(model, number))

    def _create(
        self, run: Run, model: str, folder: Path, key: str, tags: Mapping[str, str], description: str
    ) -> ModelVersion:
        logged = uploaded(self._client, run, model, folder, {key: tags[key]})
        if not self._client.search_registered_models(f"name = '{model}'"):
            self._client.create_registered_model(model)
        told = {**tags, FILES_TAG: logged.tags[FILES_TAG]}
        made = self._client.create_model_version(
            model,
            logged.model_uri,
            run.run_id,
            told,
            description=description[:DESCRIPTION_CHARACTERS],
            model_id=logged.model_id,
        )
        return _version(made)


def _version(found: Any) -> ModelVersion:
    return ModelVersion(found.name, str(found.version), str(found.source), dict(found.tags), found.run_id or "")


def was_replaced_by(version: ModelVersion, champion: str | None) -> bool:
    """Tell whether a person has put the version with the number `champion` in the place of this one, and no other."""
    demotions = _acts(version, DEMOTIONS_TAG)
    return bool(demotions) and demotions[-1]["other"] == champion


def _acts(version: ModelVersion, tag: str) -> list[dict[str, Any]]:
    return list(json.loads(version.tags.get(tag, "[]")))


def _alias_due(version: ModelVersion, aliases: Mapping[str, str]) -> Alias | None:
    """Return the alias that a version is due: its standing, unless somebody has moved the aliases since then."""
    champion = aliases.get(CHAMPION)
    if champion == version.number:
        return CHAMPION
    if version.standing == CHALLENGER:
        return CHALLENGER if int(aliases.get(CHALLENGER, "0")) <= int(version.number) else None
    unmoved = champion in (None, version.tags.get(COMPARED_TAG)) and not was_replaced_by(version, champion)
    return CHAMPION if unmoved else None
