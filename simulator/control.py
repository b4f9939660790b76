"""The control API over the whole world: faults, books, callbacks, settings, the wire."""

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from simulator.aggregator.ussd import Busy, NoSession
from simulator.daraja.refusals import ERRORS
from simulator.faults import PRODUCTS, SCENARIOS, Fault
from simulator.handsets import number_of
from simulator.world import World

bp = Blueprint("control", __name__, url_prefix="/control")

LONGEST_WAIT = 60.0


def world() -> World:
    here: World = current_app.extensions["world"]
    return here


def told() -> dict[str, Any]:
    """The JSON that was posted; ValueError when it is not an object."""
    body = request.get_json(silent=True) if request.data else {}
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    return body


@bp.before_request
def only_from_here() -> tuple[Response, int] | None:
    """A page of somewhere else must not play with the phones through the reader's browser."""
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        return jsonify(error="not from another site"), 403
    return None


@bp.errorhandler(ValueError)
@bp.errorhandler(TypeError)
def unreadable(error: Exception) -> tuple[Response, int]:
    return jsonify(error=str(error)), 400


@bp.errorhandler(LookupError)
def missing(error: LookupError) -> tuple[Response, int]:
    return jsonify(error=str(error.args[0]) if error.args else "not found"), 404


@bp.errorhandler(Busy)
@bp.errorhandler(NoSession)
def out_of_turn(error: Exception) -> tuple[Response, int]:
    return jsonify(error=(type(error).__doc__ or "").strip()), 409


def with_lock(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def locked(**arguments: Any) -> Any:
        with world().lock:
            return view(**arguments)

    return locked


# -- the whole


@bp.get("/health")
def health() -> Response:
    return jsonify(ok=True)


@bp.post("/reset")
def reset() -> Response:
    world().reset()
    return jsonify(ok=True)


@bp.get("/settings")
def settings() -> Response:
    secrets = {"consumer_secret", "passkey", "initiator_password", "at_api_key"}
    return jsonify({k: v for k, v in asdict(world().settings).items() if k not in secrets})


@bp.post("/settings")
@with_lock
def change_settings() -> Response:
    """Any field of Settings, from now on."""
    world().tell(told())
    return jsonify(ok=True)


@bp.get("/certificate")
def certificate() -> Response:
    return Response(world().keys.certificate, mimetype="application/x-pem-file")


@bp.get("/wire")
@with_lock
def wire() -> Response:
    since = int(request.args.get("since", 0))
    return jsonify([line.shown() for line in world().wire.since(since)])


@bp.get("/watch")
def watch() -> Response:
    """Answers when something changed after `version`, or after a while: what the page lives on."""
    here = world()
    version, since = int(request.args.get("version", -1)), int(request.args.get("since", 0))
    numbers = [n for n in request.args.get("phones", "").split(",") if n]
    wait = min(float(request.args.get("timeout", 20)), LONGEST_WAIT)
    here.wait_until(lambda: here.version != version, wait)
    with here.lock:
        return jsonify(
            version=here.version,
            phones=[phone_shown(here, number) for number in numbers],
            wire=[line.shown() for line in here.wire.since(since)],
            faults=[asdict(fault) for fault in here.faults.armed()],
            totals=here.books.totals(),
            discrepancies=here.books.discrepancies(),
            held=None if here.held is None else len(here.held),
        )


def phone_shown(here: World, number: str) -> dict[str, Any]:
    """Call with the lock held."""
    phone = here.handset(number)
    person = here.person(number)
    return phone.shown() | {
        "name": person.name,
        "balance": person.balance,
        "registered": person.registered,
    }


# -- faults


@bp.get("/scenarios")
def scenarios() -> Response:
    return jsonify(scenarios=SCENARIOS, products=list(PRODUCTS), errors=sorted(ERRORS))


@bp.get("/faults")
@with_lock
def faults() -> Response:
    return jsonify([asdict(fault) for fault in world().faults.armed()])


@bp.post("/faults")
@with_lock
def arm() -> tuple[Response, int]:
    """`scenario`, `on`, and at will `phone`, `amount`, `times` (0: for good), and parameters."""
    body = told()
    known = {"scenario", "on", "phone", "amount", "times"}
    phone, amount = body.get("phone"), body.get("amount")
    fault: Fault = world().faults.arm(
        str(body.get("scenario")),
        str(body.get("on")),
        phone=number_of(str(phone)) if phone else None,
        amount=int(amount) if amount is not None else None,
        times=int(body.get("times", 1)),
        params={key: value for key, value in body.items() if key not in known},
    )
    world().stir()
    return jsonify(asdict(fault)), 201


@bp.delete("/faults")
@bp.delete("/faults/<int:fault_id>")
@with_lock
def disarm(fault_id: int | None = None) -> Response:
    world().faults.disarm(fault_id)
    world().stir()
    return jsonify(ok=True)


# -- callbacks


@bp.get("/callbacks")
@with_lock
def callbacks() -> Response:
    return jsonify(
        held=None if world().held is None else len(world().held or []),
        callbacks=[
            {"id": p.id, "kind": p.kind, "body": p.shown, "statuses": p.statuses}
            for p in world().parcels
        ],
    )


@bp.post("/callbacks/hold")
def hold() -> Response:
    world().hold()
    return jsonify(ok=True)


@bp.post("/callbacks/release")
def release() -> Response:
    return jsonify(released=world().release(backwards=bool(told().get("backwards"))))


@bp.post("/callbacks/<int:callback_id>/replay")
def replay(callback_id: int) -> Response:
    """Sends it `times` more, one after the other; the answers' statuses."""
    with world().lock:
        parcel = next((p for p in world().parcels if p.id == callback_id), None)
    if parcel is None:
        raise LookupError(f"no callback {callback_id}")
    return jsonify([world().replay(parcel) for _ in range(int(told().get("times", 1)))])


@bp.post("/drain")
def drain() -> tuple[Response, int]:
    """Waits until nothing is under way any more; retries to a deaf house do not count."""
    drained = world().courier.drained(min(float(told().get("timeout", 10)), LONGEST_WAIT))
    return jsonify(drained=drained), 200 if drained else 408
