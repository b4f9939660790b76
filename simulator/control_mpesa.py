"""The control API over M-PESA: its books, floats and statements, payouts, and tokens."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from simulator import statement
from simulator.books import Organisation
from simulator.clock import NAIROBI, nairobi_now
from simulator.control import told, with_lock, world
from simulator.daraja import b2c, reversal
from simulator.payments import Payout

bp = Blueprint("mpesa", __name__)


@bp.get("/books")
@with_lock
def books() -> Response:
    here = world()
    return jsonify(
        totals=here.books.totals(),
        discrepancies=here.books.discrepancies(),
        people=[asdict(person) | {"pin": "****"} for person in here.books.people.values()],
        organisations=[asdict(house) for house in here.books.organisations.values()],
        transactions=[line.shown() for line in here.books.transactions],
        moves=[moved.shown() for moved in here.books.moves],
    )


@bp.post("/float")
@with_lock
def set_float() -> Response:
    """`shortcode` (else the B2C one) and `utility`: treasury fills or empties the account."""
    body, here = told(), world()
    house = _organisation(str(body.get("shortcode") or here.settings.b2c_shortcode))
    here.books.set_float(house.shortcode, int(body["utility"]))
    here.stir()
    return jsonify(ok=True)


@bp.post("/treasury")
@with_lock
def move() -> Response:
    """`act` (one of MOVES), `amount`, `shortcode` (else the B2C one): money of the house's own."""
    body, here = told(), world()
    house = _organisation(str(body.get("shortcode") or here.settings.b2c_shortcode))
    moved = here.books.move(house, str(body.get("act")), int(body["amount"]))
    here.stir()
    return jsonify(moved.shown())


@bp.post("/reverse")
def take_back() -> Response:
    """`receipt`: M-PESA reverses a customer's payment by itself, and tells nobody."""
    return jsonify(reversal.by_mpesa(world(), str(told().get("receipt"))).shown())


@bp.get("/statement")
@with_lock
def download() -> Response:
    """As from the portal: `shortcode`, `account`, `dates`, `since` and `until` (Nairobi's time)."""
    asked, here = request.args, world()
    house = _organisation(asked.get("shortcode") or here.settings.shortcode)
    since, until = asked.get("since"), asked.get("until")
    text = statement.written(
        here.books, house,
        account=asked.get("account", "all"),
        dates=asked.get("dates", "iso"),
        since=_moment(since) if since else None,
        until=_moment(until) if until else nairobi_now(),
    )  # fmt: skip
    name = f"attachment; filename=statement-{house.shortcode}.csv"
    return Response(text, mimetype="text/csv", headers={"Content-Disposition": name})


def _moment(written: str) -> datetime:
    read = datetime.fromisoformat(written)
    return read if read.tzinfo else read.replace(tzinfo=NAIROBI)


def _organisation(shortcode: str) -> Organisation:
    house = world().organisation(shortcode)
    if house is None:
        raise LookupError(f"no organisation {shortcode}")
    return house


@bp.get("/payouts")
@with_lock
def payouts() -> Response:
    return jsonify([_payout(payout) for payout in world().payouts.values()])


@bp.post("/payouts/<originator_id>")
def end_payout(originator_id: str) -> Response:
    """`end`: `pays` (and tells), or a status such as Cancelled that only a query will show."""
    payout = world().payouts.get(originator_id)
    if payout is None:
        raise LookupError(f"no payout {originator_id}")
    end = str(told().get("end", "pays"))
    if end == "pays":
        b2c.carry_out(world(), payout)
    else:
        b2c.fail(world(), payout, end)
    return jsonify(_payout(payout))


def _payout(payout: Payout) -> dict[str, Any]:
    return {
        "originator_id": payout.originator_id,
        "conversation_id": payout.conversation_id,
        "phone": payout.phone,
        "amount": payout.amount,
        "status": payout.status,
        "receipt": payout.line.receipt if payout.line else None,
        "faults": payout.plan.names(),
    }


@bp.post("/tokens/kill")
@with_lock
def kill_token() -> Response:
    world().tokens.kill()
    return jsonify(minted=world().tokens.minted)
