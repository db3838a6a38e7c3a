"""Reads a bias file: anchors, triggers and negative attractors, in words; config/bias.example.toml shows one of each.

What each does is memory_core/bias's affair; here they are read, and refused by name where they do not fit.
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.sources import SettingsError

Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[str, Field(min_length=1, max_length=2_000)]


class _Named(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]


class AnchorWords(_Named):
    """A domain: of about equal memories the one nearer to `text` comes first."""

    text: Words
    boost: Share = 0.6


class TriggerWords(_Named):
    """What makes a turn salient: one of the keywords, or a meaning near to `text`."""

    keywords: tuple[Words, ...] = ()
    text: str = ""
    threshold: Share = 0.7
    boost: Share = 0.3
    weight: Annotated[float, Field(ge=0, le=100)] = 1.0


class NegativeAttractorWords(_Named):
    """A region that recall is pushed away from: what is near to `text`."""

    text: Words
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.3
    penalty: Share = 0.5


class BiasWords(BaseModel):
    """A bias file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    anchors: tuple[AnchorWords, ...] = ()
    triggers: tuple[TriggerWords, ...] = ()
    negative_attractors: tuple[NegativeAttractorWords, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All that has to be embedded, each once."""
        texts = [*(each.text for each in self.anchors), *(each.text for each in self.negative_attractors)]
        return tuple(dict.fromkeys([*texts, *(each.text for each in self.triggers if each.text)]))


def load_bias(file: Path) -> BiasWords:
    """The file's bias; raises SettingsError, with a sentence for each problem."""
    try:
        return BiasWords.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingsError(f"the bias file {file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        listed = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise SettingsError("\n- ".join([f"the bias file {file} cannot be used:", *listed])) from None
    except ValueError as error:
        raise SettingsError(f"the bias file {file} is not TOML: {error}") from error
