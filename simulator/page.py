"""The page with the phones on it."""

from flask import Blueprint, Response, current_app, render_template, request

bp = Blueprint("page", __name__)

PHONES = ("0712000001", "0712000002")
KEYS = (
    ("1", ".,?!"), ("2", "abc"), ("3", "def"), ("4", "ghi"), ("5", "jkl"), ("6", "mno"),
    ("7", "pqrs"), ("8", "tuv"), ("9", "wxyz"), ("*", "+-/@"), ("0", "space"), ("#", "abc 123"),
)  # fmt: skip


@bp.get("/")
def phones() -> Response:
    """`?phones=0712…,0712…` shows other people's."""
    told = current_app.extensions["world"].settings
    asked = [number.strip() for number in request.args.get("phones", "").split(",")]
    numbers = [number for number in asked if number][:2] or list(PHONES)
    page = render_template(
        "phones.html", numbers=numbers, keys=KEYS, code=told.codes[0], short_code=told.short_code,
        paybill=told.shortcode, till=told.till_number, payer=told.b2c_shortcode,
    )  # fmt: skip
    response = Response(page)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    response.headers["Cache-Control"] = "no-store"
    return response
