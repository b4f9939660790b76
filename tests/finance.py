"""Finance, for the tests: receipts in our books, treasury entries, statements brought in."""

import uuid

from sqlalchemy import text

from core import levies, statement_import, statement_items, treasury
from core.levies import Levy
from core.money import Cents
from core.staff import Role
from demo.settings import PAYBILL
from tests import games, people


def bring_in(rt, finance, content, **more):
    with rt.transaction() as tx:
        return statement_import.bring_in(
            tx, content, by=finance[0], now=rt.now(), config=rt.config, **more
        )


def keep(rt, receipt, amount, at, *, shortcode=PAYBILL):
    """A receipt of ours: money that came, or a payment that left."""
    with rt.transaction() as tx:
        if amount > 0:
            tx.execute(
                text("SELECT suspense_keep(:receipt, :shortcode, :amount, 2::smallint, :at, true)"),
                {"receipt": receipt, "shortcode": shortcode, "amount": amount, "at": at},
            )
            return
        customer = tx.scalar(text("SELECT min(id) FROM customer"))
        payout = tx.scalar(
            text("SELECT payout_reserve(:key, :customer, :amount, 1::smallint, NULL)"),
            {"key": uuid.uuid4(), "customer": customer, "amount": -amount},
        )
        sent = "UPDATE payout SET state = 4, sending_at = :at WHERE id = :payout"
        tx.execute(text(sent), {"payout": payout, "at": at})
        paid = tx.scalar(
            text("SELECT payout_paid(:payout, :receipt, :shortcode, :amount, 5::smallint, :at)"),
            {
                "payout": payout,
                "receipt": receipt,
                "shortcode": shortcode,
                "amount": -amount,
                "at": at,
            },
        )
        assert paid == "paid"


def post(rt, finance, act, shillings, reference, *, shortcode=PAYBILL, on=None):
    """A treasury entry, by two people."""
    now = rt.now()
    with rt.transaction() as tx:
        proposal = treasury.propose(
            tx, act, amount=Cents(shillings * 100), shortcode=shortcode,
            value_date=on or now.astimezone(treasury.NAIROBI).date(), reference=reference, note="n",
            by=finance[0], now=now, config=rt.config,
        )  # fmt: skip
        seen = proposal.content_hash
    with rt.transaction() as tx:
        treasury.approve(tx, reference, seen_hash=seen, by=finance[1], now=now, config=rt.config)


def sweep_lines(rt):
    with rt.transaction() as tx:
        statement_items.sweep(tx, rt.now(), rt.config)


def excise(rt, wait, points):
    """From now on so many hundredths of a percent are taken of deposits."""
    maker, checker = (people.member(rt, name, Role.FINANCE) for name in ("njeri", "ali"))
    with rt.transaction() as tx:
        proposal = levies.propose(
            tx, {Levy.EXCISE: points}, starts=rt.now() + games.HOUR, note="", by=maker,
            now=rt.now(), config=rt.config,
        )  # fmt: skip
    with rt.transaction() as tx:
        levies.approve(tx, seen_hash=proposal.content_hash, by=checker, now=rt.now())
    wait(hours=2)
