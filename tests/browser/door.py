"""How people come in: what they type at the door, and when they are asked for their code again."""

from playwright.sync_api import expect

from tests.browser.stage import Person
from tests.browser.visit import Visit


def sign_in(visit: Visit, person: Person) -> Visit:
    """Through the door, from wherever it was asked for."""
    visit.go("/admin/sign-in")
    return show_factors(visit, person)


def show_factors(visit: Visit, person: Person) -> Visit:
    """Fill in the door's form, which is open."""
    page = visit.page
    page.get_by_label("Name").fill(person.name)
    page.get_by_label("Password").fill(person.password)
    page.get_by_label("Code").fill(person.authenticator.code())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    return visit


def show_code(visit: Visit, person: Person) -> None:
    """Answer the question for the second factor that has come in between."""
    expect(visit.page.get_by_role("heading", name="Your code again")).to_be_visible()
    visit.page.get_by_label("Code").fill(person.authenticator.code())
    visit.page.get_by_role("button", name="Go on").click()
