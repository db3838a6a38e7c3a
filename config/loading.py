"""How settings are loaded: what every settings page shares, so that settings.py holds nothing but the knobs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.problems import unknown, wrong
from config.sources import SettingsError, gather


class Loaded(BaseSettings):
    """A page of settings: unknown names refused, frozen, every number finite. `load` merges its sources."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    @classmethod
    def load(
        cls, flags: Mapping[str, object], config_file: Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> Self:
        """Merge flags over environment over file over defaults. Flags that are None were not given.

        The file is `config_file`, else ISOCOST_CONFIG, else `isocost.toml` in the user's config folder if it is there.
        Raises SettingsError with one message for all problems.
        """
        sources = gather(flags, config_file, environ)
        fields = cls.model_fields
        values = {name: value for source in sources for name, value in source.values.items() if name in fields}
        problems = [unknown(source, name, fields) for source in sources for name in source.values if name not in fields]
        try:
            settings = cls.model_validate(values)
        except ValidationError as refused:
            problems += wrong(refused, sources, fields)
        if problems:
            raise SettingsError("\n- ".join(["these settings cannot be used:", *problems]))
        return settings

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            raise ValueError("should be a number")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Init values alone: `load` merges the sources, since its errors say where a value came from."""
        return (init_settings,)
