"""A house at random against the plain model: every account agrees to the cent after every step."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.ground import Ground
from tests.machine.payments import Payments
from tests.machine.results import Results

STEPS = 60  # of one house; then another begins
HOUSES = (
    9  # at a time: with ten or more Hypothesis begins with many in which hardly anything happens
)


class House(Results, Payments):
    """All that may happen."""


@pytest.mark.timeout(3_600)
def test_the_database_agrees_with_the_model(new_house, counts):
    class Machine(House):
        house_of = staticmethod(new_house)

    Ground.steps = 0
    while Ground.steps < counts.steps:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=HOUSES,
                stateful_step_count=STEPS,
                phases=(Phase.reuse, Phase.generate, Phase.shrink),
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=False,
            ),
        )
