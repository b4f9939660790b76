"""A post office before the house: signs whatever is sent through it, and lets time pass."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyotp

from core.rates import Rate
from core.runtime import Runtime
from core.staff_access import STEP
from tests.api.programs import Program

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass
class Sundial:
    """The house's clock, which goes on when somebody turns it; shared by all who sign."""

    moment: datetime

    def __call__(self) -> datetime:
        return self.moment


class Signing:
    """A WSGI application in front of another: each request gets the headers of `program`.

    Each also gets a second factor, and half a minute goes by for it. Nobody is too quick here.
    """

    def __init__(self, rt: Runtime, app: WSGI, program: Program) -> None:
        self.rt, self.app, self.program = rt, app, program
        self.sundial = rt.clock if isinstance(rt.clock, Sundial) else Sundial(rt.now())
        rt.clock = self.sundial
        rt.config = rt.config.model_copy(update={"api_rate": Rate(1_000_000, 1_000_000)})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Sign it as it is, and pass it on."""
        self.sundial.moment += timedelta(seconds=STEP)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        query = environ.get("QUERY_STRING", "")
        code = pyotp.TOTP(self.program.person.secret).at(self.rt.now())
        whole = f"{path}?{query}" if query else path
        signed = self.program.headers(environ["REQUEST_METHOD"], whole, body, totp=code)
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": signed[name] for name in signed}
        return self.app(environ, start_response)
