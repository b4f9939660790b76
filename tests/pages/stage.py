"""A house in which there is something of everything, for tests that open every page."""

from core import decisions, drafts, staff_changes
from core.errors import Rejected
from core.staff import Role
from tests import cashier, games, mpesa, people


def furnish(rt, amina, brian):
    """Markets in every state, payouts paid and failed, and proposals about both kinds of things."""
    daraja = mpesa.Daraja(rt)
    zed, yara = (people.member(rt, name, Role.ADMIN) for name in ("zed", "yara"))
    told = {"now": rt.now(), "config": rt.config}
    settled = games.derby(rt, zed)
    games.placed(rt, amina, settled, 1, 300)
    games.placed(rt, brian, settled, 2, 100)
    games.settle(rt, settled, 1, proposer=zed, approver=yara)
    closed = games.derby(rt, zed, question="Who wins the cup?")
    games.placed(rt, amina, closed, 1, 50)
    games.close(rt, closed, zed)
    opened = games.derby(rt, zed, question="Will it rain?")
    with rt.transaction() as tx:
        drafts.create(
            tx, question="Will it hail?", outcomes=("Yes", "No"), category="Weather",
            opens_at=rt.now(), closes_at=opened.closes_at, by=zed, **told,
        )  # fmt: skip
        decisions.propose(tx, closed.code, winners=(1,), source="FKF", by=zed, **told)
        staff_changes.propose_new(
            tx, "halima", Role.SUPPORT, phone="0722000111", note="nights", by=zed, **told
        )
    cashier.sent(rt, amina, 100)
    daraja.says["b2c"] = Rejected("not registered", code="2040")
    cashier.withdraw(rt, amina, 50)
    mpesa.work(rt)
    daraja.says.clear()
    cashier.withdraw(rt, brian, 20)
    return zed, yara
