"""Somebody new: a code from an admin, an authenticator, a password, and in."""

import re

import pyotp
from playwright.sync_api import expect

from core.staff import Role
from tests.browser import desk, door, stage
from tests.browser.stage import Person
from tests.browser.visit import Authenticator

PASSWORD = "nine herons left before breakfast"
UNPROCESSABLE = 422  # how a form that is shown again is answered


def test_whoever_is_invited_enrols_with_a_real_authenticator_and_signs_in(home, visitor):
    atieno, invitation = stage.invite(home, "atieno", Role.FINANCE)
    visit = visitor("atieno")
    page = visit.go("/admin/sign-in").page
    page.get_by_role("link", name="enrolment code").click()
    visit.shot("enrol")
    page.get_by_label("Name").fill("atieno")
    page.get_by_label("Enrolment code").fill(invitation)
    page.get_by_role("button", name="Go on").click()

    secret = re.sub(r"\s", "", page.locator(".secret").inner_text())
    assert len(secret) == 32
    expect(page.locator(".qr svg")).to_be_visible()
    visit.shot("seed")
    person = Person(atieno, PASSWORD, Authenticator(home, secret))
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    page.get_by_label("Code that the authenticator shows").fill(person.authenticator.code())
    page.get_by_role("button", name="Enrol").click()
    codes = page.locator(".codes li").all_inner_texts()
    visit.shot("recovery-codes")
    assert len(set(codes)) == 10

    page.get_by_role("button", name="sign in").click()
    door.show_factors(visit, person)
    visit.shot("home")
    page.get_by_role("button", name="Sign out").click()
    use_recovery_code(page, codes[3])
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_weak_password_and_a_wrong_code_are_told_and_cost_nothing(home, visitor):
    _, invitation = stage.invite(home, "barasa")
    visit = visitor("barasa").go("/admin/enrol")
    page, visit.expected = visit.page, {UNPROCESSABLE}
    page.get_by_label("Name").fill("barasa")
    page.get_by_label("Enrolment code").fill(invitation)
    page.get_by_role("button", name="Go on").click()
    secret = re.sub(r"\s", "", page.locator(".secret").inner_text())

    choose(page, "passwordpassword", pyotp.TOTP(secret).now())
    desk.refused(visit, "password")
    choose(page, PASSWORD, "000000")
    desk.refused(visit, "code")

    assert re.sub(r"\s", "", page.locator(".secret").inner_text()) == secret
    choose(page, PASSWORD, Authenticator(home, secret).code())
    expect(page.locator(".codes li")).to_have_count(10)


def use_recovery_code(page, code):
    """Sign in without the authenticator."""
    page.get_by_label("Name").fill("atieno")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()


def choose(page, password, code):
    """Fill in the second form."""
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Password once more").fill(password)
    page.get_by_label("Code that the authenticator shows").fill(code)
    page.get_by_role("button", name="Enrol").click()
