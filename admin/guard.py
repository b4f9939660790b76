"""What every staff route declares: the right it wants, for its guard to ask and a test to read."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask

from core.rights import Right

View = TypeVar("View", bound=Callable[..., Any])


def declares(right: Right | None) -> Callable[[View], View]:
    """Say which right a view wants; None says that it is open to everybody."""

    def mark(view: View) -> View:
        view.right = right  # type: ignore[attr-defined]
        return view

    return mark


def right_of(app: Flask, endpoint: str) -> Right | None:
    """The right that a route wants. A route that declares nothing is a bug, and opens to nobody."""
    view = app.view_functions[endpoint]
    assert hasattr(view, "right"), f"{endpoint} declares no right: give it one of core/rights"
    right: Right | None = view.right
    return right
