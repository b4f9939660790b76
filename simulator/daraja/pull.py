"""Pull: the payments customers made to a paybill or till, of two days, a hundred at a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from simulator import ids
from simulator.answers import Answer
from simulator.books import Organisation, Transaction
from simulator.clock import NAIROBI, nairobi_now
from simulator.daraja import fields
from simulator.daraja.refusals import Refused, invalid
from simulator.faults import Plan
from simulator.world import World

PAGE = 100
REACH = timedelta(hours=48)
DONE, NOTHING_NEW = "1000", "1001"


def register(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """Once for each shortcode; nobody is ever called back."""
    shortcode = fields.shortcode(body, "ShortCode")
    fields.one_of(body, "RequestType", "Pull")
    fields.text(body, "NominatedNumber")
    fields.url(body, "CallBackURL", strict=world.settings.strict_urls)
    with world.lock:
        if world.organisation(shortcode) is None:
            raise Refused(400, "400.001", "Bad Request - Invalid ShortCode")
        again = shortcode in world.pulls
        world.pulls.add(shortcode)
    return Answer(
        body={
            "ResponseRefID": ids.merchant_request(),
            "Response Status": NOTHING_NEW if again else DONE,
            "ShortCode": shortcode,
            "ResponseDescription": "Already registered" if again else "Registered successfully",
        }
    )


def query(world: World, body: dict[str, Any], plan: Plan) -> Answer:
    """The oldest first; an offset skips what was read before."""
    shortcode = fields.shortcode(body, "ShortCode")
    start, end = _moment(body, "StartDate"), _moment(body, "EndDate")
    offset = int(fields.matching(body, "OffSetValue", "[0-9]{1,9}"))
    with world.lock:
        house = world.organisation(shortcode)
        if house is None or start > end:
            raise Refused(400, "400.001", "Bad Request - Invalid ShortCode or dates")
        start = max(start, nairobi_now() - REACH)
        # A row shows whole seconds, and so do the ends of the window.
        found = [
            line
            for line in world.books.transactions
            if line.paid_in
            and line.status == "Completed"
            and line.shortcode == shortcode
            and start <= line.at.replace(microsecond=0) <= end
        ]
        rows = [_row(world, house, line) for line in found[offset : offset + PAGE]]
    code, words = (DONE, "Success") if rows else (NOTHING_NEW, "No transactions found")
    other = plan.has("otherKeys")
    return Answer(
        body={
            "ResponseRefID": ids.merchant_request(),
            "Response Code" if other else "ResponseCode": code,
            "Response Message" if other else "ResponseMessage": words,
            "Response": [rows],
        }
    )


def _row(world: World, house: Organisation, line: Transaction) -> dict[str, Any]:
    kind = "buy-goods" if "Buy Goods" in line.reason else "pay-bill"
    at = line.at.astimezone(UTC) if world.settings.pull_utc else line.at
    return {
        "transactionId": line.receipt,
        "trxDate": f"{at:%Y-%m-%dT%H:%M:%S}Z",  # the Z is decoration
        "msisdn": int(line.phone),
        "sender": world.person(line.phone).name,
        "transactiontype": f"c2b-{kind}-debit",
        "billreference": line.account,
        "amount": f"{line.amount:.2f}",
        "organizationname": house.name,
    }


def _moment(body: dict[str, Any], name: str) -> datetime:
    written = fields.matching(body, name, r"20[0-9-]{8}[ T][0-9:]{7,8}")
    try:
        return datetime.strptime(written.replace("T", " "), "%Y-%m-%d %H:%M:%S").replace(
            tzinfo=NAIROBI
        )
    except ValueError:
        raise invalid(name) from None
