"""All attacks, by family, each with its good twins."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from tests.attacks.forge import Attack, Twin, World
from tests.attacks.shapes import (
    algorithms,
    claims,
    dates,
    envelopes,
    extensions,
    headers,
    json_texts,
    kinds,
    signatures,
    sizes,
    texts,
)

FAMILIES: dict[str, ModuleType] = {
    "algorithms": algorithms,
    "headers": headers,
    "extensions": extensions,
    "envelopes": envelopes,
    "signatures": signatures,
    "texts": texts,
    "json": json_texts,
    "dates": dates,
    "claims": claims,
    "kinds": kinds,
    "sizes": sizes,
}


class Family(NamedTuple):
    """What one module makes."""

    attacks: tuple[Attack, ...]
    twins: tuple[Twin, ...]


def make_families(world: World) -> dict[str, Family]:
    """Every family's attacks and twins, made once."""
    return {name: Family(tuple(made.attacks(world)), tuple(made.twins(world))) for name, made in FAMILIES.items()}
