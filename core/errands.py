"""How each kind of promise is kept, and each kind of callback acted on."""

from collections.abc import Mapping

from core import (
    backers,
    balances,
    c2b,
    fates,
    messages,
    payouts,
    postman,
    pulls,
    pushes,
    refund_results,
    refunds,
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
        refunds.REVERSE,
        refunds.PAY_BACK,
        status_queries.ERRAND,
        pulls.ERRAND,
        balances.ERRAND,
    )
}

# By the name of the door, which is the end of its path with underscores.
PROCESSORS: Mapping[str, Processor] = {
    "stk": pushes.take_callback,
    "c2b_confirm": c2b.take,
    "b2c_result": refund_results.take_b2c_result,
    "b2c_timeout": refund_results.take_b2c_timeout,
    "reversal_result": refund_results.take_result,
    "reversal_timeout": refund_results.take_timeout,
    "status_result": fates.take_result,
    "status_timeout": fates.take_timeout,
    "balance_result": balances.take_result,
    "balance_timeout": balances.take_timeout,
    "pull": c2b.take_pull_row,  # no door: each row of the list is kept as if it had come by one
    "sms_delivery": messages.take_report,
}
