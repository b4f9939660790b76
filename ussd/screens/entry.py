"""Where every call begins: at home, or where sign-up stopped."""

from core import customers
from core.customers import Step
from ussd.screens import home, joining
from ussd.visit import Link, Visit, link, screen

STILL_ASKED = {
    Step.LANGUAGE: joining.language,
    Step.TERMS: joining.terms,
    Step.NAME: joining.name,
    Step.BIRTH: joining.birth,
    Step.PIN: joining.pin,
    Step.CODE: joining.code,
    Step.DONE: home.home,
}


@screen
def entry(visit: Visit) -> Link:
    """The first screen for this caller."""
    return link(STILL_ASKED[customers.next_step(visit.customer)])
