"""16. However the network fails, a request for money goes out once: again only if it never left."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import NotSent, Rejected, Unknown
from core.payments import DepositState, PayoutState
from tests import cashier, mpesa, people, teller

FAULTS = {
    "never left": NotSent("refused", code="connection"),
    "lost": Unknown("read timed out", code="no_answer"),
    "refused": Rejected("no", code="field"),
    "yes": None,
}
SAID = st.lists(st.sampled_from(["never left", "never left", "lost", "refused", "yes"]), max_size=4)


class Network:
    """Fails as it is told; it counts what came through to M-PESA."""

    def __init__(self, rt):
        self.daraja, self.said, self.arrived = mpesa.Daraja(rt), [], []
        for kind in ("stk", "b2c"):
            rt.senders[kind] = lambda request, kind=kind: self.send(kind, request)

    def send(self, kind, request):
        said = self.said.pop(0) if self.said else "yes"
        if said in ("lost", "yes"):
            self.arrived.append(dict(request))
        if FAULTS[said] is not None:
            raise FAULTS[said]
        return self.daraja.answer(kind, request)


def test_money_is_asked_for_once(rt, amina, wait, counts):
    network = Network(rt)

    @settings(
        max_examples=counts.cases // 2, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(SAID, SAID)
    def live(pushing, paying):
        wait(minutes=10)
        people.fund(rt, amina, 100_00)
        network.said, network.arrived = list(pushing), []
        asked = teller.ask(rt, amina, 100)
        worked(rt, wait)
        assert len(network.arrived) <= 1
        state = teller.state(rt, asked)
        assert (state == DepositState.REFUSED) == (not network.arrived)
        network.said, network.arrived = list(paying), []
        payout = cashier.withdraw(rt, amina, 100)
        first = mpesa.payout(rt, payout).ocid
        worked(rt, wait)
        assert len(network.arrived) <= 1
        assert all(request["ocid"] == str(first) for request in network.arrived)
        state = cashier.state(rt, payout)
        if "lost" in paying and network.arrived and paying_until(paying) == "lost":
            assert state in (PayoutState.IN_DOUBT, PayoutState.NEEDS_HUMAN)
        elif not network.arrived:
            assert state == PayoutState.FAILED

    live()
    assert teller.clean(rt)


def paying_until(said):
    """The first answer that was not "it never left"."""
    return next((one for one in said if one != "never left"), "yes")


def worked(rt, wait):
    """As long as the house tries again by itself, or the last request would come in later."""
    for retry in rt.config.send_retry:
        wait(seconds=retry.total_seconds() * 2)
        mpesa.work(rt)
        if cashier.is_paused(rt):
            cashier.resume(rt)
