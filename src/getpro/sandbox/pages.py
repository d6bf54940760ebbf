"""Pages of the simulators: templates from the package, no framework, nothing from outside."""

from functools import cache
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("getpro.sandbox", "templates"), autoescape=True, undefined=StrictUndefined
    )


def render(template: str, *, status: int = 200, **values: Any) -> web.Response:
    """The page ``template`` with ``values``; everything in it is escaped."""
    text = _environment().get_template(template).render(**values)
    return web.Response(text=text, status=status, content_type="text/html")
