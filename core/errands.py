"""How each kind of promise is kept, and each kind of callback acted on."""

from collections.abc import Mapping

from core import (
    backers,
    fates,
    messages,
    payout_results,
    payouts,
    postman,
    pushes,
    results,
    status_queries,
)
from core.inbox import Processor
from core.outbox import Errand

ERRANDS: Mapping[str, Errand] = {
    errand.kind: errand
    for errand in (
        postman.ERRAND,
        results.ERRAND,
        backers.ERRAND,
        pushes.PUSH,
        pushes.QUERY,
        payouts.PAY,
        status_queries.ERRAND,
    )
}

# By the name of the door, which is the end of its path with underscores.
PROCESSORS: Mapping[str, Processor] = {
    "stk": pushes.take_callback,
    "b2c_result": payout_results.take_result,
    "b2c_timeout": payout_results.take_timeout,
    "status_result": fates.take_result,
    "status_timeout": fates.take_timeout,
    "sms_delivery": messages.take_report,
}
