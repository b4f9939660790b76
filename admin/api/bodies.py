"""What programs may send: JSON of these forms, and nothing beside them."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from flask import request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
)
from werkzeug.exceptions import UnsupportedMediaType

JSON = "application/json"
# One line with something to read in it, and no control characters.
LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
MOMENT = re.compile(
    r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){1,2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
FAULTS = 5  # told of one body

T = TypeVar("T")


class Unfit(Exception):
    """The body is no JSON, or not of its form; `detail` says where."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def _moment(value: Any) -> datetime | None:
    """A moment with its zone, as RFC 3339 writes it."""
    if value is None:
        return None
    if not isinstance(value, str) or not MOMENT.fullmatch(value):
        raise ValueError("a moment is 2026-11-21T18:00:00+03:00")
    return datetime.fromisoformat(value)


def _each_once(winners: list[int]) -> list[int]:
    if len(set(winners)) < len(winners):
        raise ValueError("each of them once")
    return winners


Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Pick = Annotated[int, Field(ge=1, le=8)]
Source = Annotated[str, Field(max_length=200, pattern=LINE)]
Winners = Annotated[list[Pick], Field(min_length=1, max_length=8), AfterValidator(_each_once)]


def _ending(body: Any) -> str:
    return "void" if isinstance(body, dict) and "void" in body else "result"


class Body(BaseModel):
    """Strict: what is not known is refused, and a number is not read from a text."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Nothing(Body):
    """No facts: an empty body, or an empty object."""


class Result(Body):
    """Who won, and until when bets count."""

    winners: Winners
    effective_close: Moment | None = None
    source: Source


class Void(Body):
    """Nobody won: every stake goes back."""

    void: Literal[True]
    source: Source


class AnotherResult(Result):
    """Who won after all; bets that were too late for the wrong result may count again."""

    drop_cut_off: bool = False


class Approval(Body):
    """The hash of what was seen."""

    hash: Hash


class Why(Body):
    """Why it is refused."""

    reason: Source


NOTHING = TypeAdapter(Nothing)
RESULT: TypeAdapter[Result | Void] = TypeAdapter(
    Annotated[
        Annotated[Result, Tag("result")] | Annotated[Void, Tag("void")], Discriminator(_ending)
    ]
)
CORRECTION: TypeAdapter[AnotherResult | Void] = TypeAdapter(
    Annotated[
        Annotated[AnotherResult, Tag("result")] | Annotated[Void, Tag("void")],
        Discriminator(_ending),
    ]
)
APPROVAL = TypeAdapter(Approval)
WHY = TypeAdapter(Why)


def read(form: TypeAdapter[T]) -> T:
    """The body of this request. Raises Unfit, or UnsupportedMediaType for what is no JSON."""
    raw = request.get_data()
    if raw and request.mimetype != JSON:
        raise UnsupportedMediaType
    try:
        return form.validate_json(raw or b"{}")
    except ValidationError as error:
        raise Unfit(faults(error)) from None


def faults(error: ValidationError) -> str:
    """What is wrong with it, by place."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{_place(one['loc'])}: {one['msg']}" for one in found[:FAULTS])


def _place(steps: tuple[int | str, ...]) -> str:
    return ".".join(str(step)[:40] for step in steps) or "body"
