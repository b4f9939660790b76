"""A refusal on a screen of its own, for decisions that are over once they are refused."""

from core.effects import Recalled
from ussd.visit import Link, Menu, Visit, link, screen


@screen
def refused(visit: Visit) -> Menu:
    """Why not. The way on is the navigation below it."""
    return Menu(visit.say(visit.args["reason"], **visit.args["facts"]), [], idle=True)


def no(verdict: Recalled) -> Link:
    """To the screen that tells this refusal."""
    return link(refused, reason=verdict.reason, facts=dict(verdict.facts))
