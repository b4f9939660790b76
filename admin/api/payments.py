"""Deposits and payouts over the API, the newest first."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from flask import Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.orm import Session

from admin.api import acts
from admin.api.bodies import Unfit, faults
from admin.api.door import view
from admin.commands import payments as lists
from core.rights import Right


class Wanted(BaseModel):
    """Which of them; from a query, where all is text."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["deposit", "payout"] | None = None
    state: Annotated[str, Field(pattern=r"^[a-z_]{1,30}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


@view("GET", "/payments", Right.READ)
def payments() -> Response:
    """List payments with masked phones."""
    try:
        wanted = Wanted.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise Unfit(faults(error)) from None

    def work(tx: Session) -> list[dict[str, Any]]:
        return lists.newest(tx, wanted.kind, wanted.state, None, wanted.limit)

    found = acts.read(work)
    return jsonify(payments=[_payment(one) for one in found])


def _payment(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ref": one["ref"],
        "kind": one["kind"],
        "state": one["state"],
        "held_for": one.get("held_for"),
        "amount": one["amount"],
        "phone": one["phone"],
        "code": one["code"],
        "receipt": one.get("receipt"),
        "created_at": one["created_at"].isoformat(),
        "ended_at": one["ended_at"] and one["ended_at"].isoformat(),
    }
