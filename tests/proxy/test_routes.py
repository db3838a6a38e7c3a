"""The first route that fits a model serves it, at its own prices; what names none goes to the default."""

import httpx
import pytest

from config.prices import load_prices
from proxy.errors import ModelNotFoundError
from proxy.patience import Patience
from proxy.routes import Route, Routes
from proxy.upstream import Target, Upstream


async def unasked(_: httpx.Request) -> httpx.Response:
    raise AssertionError("nobody is to be asked")


def route(name: str, *models: str, price_row: str = "") -> Route:
    upstream = Upstream(Target(f"http://{name}"), httpx.MockTransport(unasked), Patience(1, 1, 1))
    return Route(upstream, models, load_prices(None, price_row))


def served_by(routes: Routes, model: str) -> str:
    return routes.upstream(model).target.base_url.removeprefix("http://")


def test_the_first_that_fits_serves():
    routes = Routes([route("a", "qwen*", "LLAMA?"), route("b", "qwen-2", "*"), route("c", "never")])
    expected = {"qwen-2": "a", "Qwen": "a", "llama3": "a", "llama33": "b", "never": "b", "": "b", "gpt-5" * 999: "b"}
    assert {model: served_by(routes, model) for model in expected} == expected
    assert routes.several


@pytest.mark.parametrize(("rows", "default"), [((("a", "x"), ("b", "*")), "b"), ((("a", "x"), ("b", "y")), "a")])
def test_what_names_no_model_goes_to_the_row_for_all_else_to_the_first(rows, default):
    routes = Routes([route(*row) for row in rows])
    assert served_by(routes, "") == default
    assert routes.default is routes.upstream("")
    assert routes.price("")


def test_a_model_that_nobody_serves():
    routes = Routes([route("a", "x"), route("b", "y")])
    for find in (routes.upstream, routes.price):
        with pytest.raises(ModelNotFoundError, match="'gpt-9'"):
            find("gpt-9")


def test_the_only_one_serves_whatever_is_asked():
    routes = Routes([route("a", "x")])
    assert served_by(routes, "anything") == served_by(routes, "") == "a"
    assert not routes.several


def test_each_has_its_own_prices():
    routes = Routes([route("a", "own", price_row="vLLM"), route("b", "*")])
    assert routes.price("own") == load_prices(None, "vLLM").of("own")
    assert routes.price("own") != routes.price("gpt-4o")
    assert routes.price("gpt-4o") == load_prices(None, "").of("gpt-4o")
