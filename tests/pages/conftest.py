"""Fixtures of the pages' tests: the application, and people at browsers."""

import pytest

from core.staff import Role
from tests import standing
from tests.pages import browser


@pytest.fixture
def app(rt):
    """The house as a web application."""
    app = standing.application(rt)
    app.testing = False  # a fault is a page, as for everybody
    return app


@pytest.fixture
def at(rt, app):
    """`at("wanjiku", Role.TRADER)`: somebody who is signed in, at a browser."""
    return lambda name, role=Role.TRADER: browser.signed_in(rt, app, name, role)


@pytest.fixture
def stranger(app):
    """Somebody who is not."""
    return browser.Browser(app)
