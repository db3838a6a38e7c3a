"""Which upstream serves a model, and at what price."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from config.prices import LONGEST_NAME, Price, Prices
from proxy.errors import ModelNotFoundError
from proxy.upstream import Upstream


@dataclass(frozen=True, slots=True)
class Route:
    """An upstream, the models it serves (shell style over the lower-cased name), and their prices."""

    upstream: Upstream
    models: tuple[str, ...]
    prices: Prices

    def serves(self, model: str) -> bool:
        """One of the patterns fits."""
        name = model[:LONGEST_NAME].lower()
        return any(fnmatchcase(name, pattern.lower()) for pattern in self.models)


class Routes:
    """The first route that fits serves a model. None is only fallen back to."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.all = tuple(routes)
        self._only = routes[0] if len(routes) == 1 else None
        self._default = next((route for route in self.all if "*" in route.models), self.all[0])
        self.price = lru_cache(maxsize=1_024)(self._price)
        """The row that holds for a model; raises ModelNotFoundError."""

    @property
    def several(self) -> bool:
        """There is more than one."""
        return self._only is None

    @property
    def default(self) -> Upstream:
        """For what names no model: the route for all models, else the first."""
        return self._default.upstream

    def upstream(self, model: str) -> Upstream:
        """Who serves it; raises ModelNotFoundError."""
        return self._of(model).upstream

    def _price(self, model: str) -> Price:
        return self._of(model).prices.of(model)

    def _of(self, model: str) -> Route:
        if self._only is not None:
            return self._only
        if not model:
            return self._default
        for route in self.all:
            if route.serves(model):
                return route
        raise ModelNotFoundError(f"no upstream serves the model {model[:LONGEST_NAME]!r}", param="model")
