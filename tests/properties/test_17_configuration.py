"""17. A setting that is not well written stops the start, named, and never quoted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import Config, ConfigFaults
from core.settings import Settings
from tests.core.test_config import PRODUCTION, TEST

NAMES = st.sampled_from(sorted(name.upper() for name in Settings.model_fields))
RUBBISH = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=12, max_size=40
).map(lambda text: f"canary{text}")


def faults_of(env):
    """What a start says against these settings; nothing if it goes on."""
    try:
        Config.from_env(env)
    except ConfigFaults as refused:
        return refused.faults
    return []


@settings(deadline=None)
@given(st.sampled_from([TEST, PRODUCTION]), NAMES, RUBBISH)
def test_a_fault_is_named_and_never_quoted(env, name, rubbish):
    faults = faults_of(env | {name: rubbish})

    assert all(fault.partition(":")[0].strip() for fault in faults)
    assert "canary" not in "".join(faults)


@settings(deadline=None)
@given(st.sets(NAMES, min_size=1, max_size=6))
def test_what_is_missing_is_told_all_at_once(names):
    needed = {name.upper() for name, one in Settings.model_fields.items() if one.is_required()}
    left = {key: value for key, value in PRODUCTION.items() if key not in names}

    told = {fault.partition(":")[0] for fault in faults_of(left)}

    assert names & needed & PRODUCTION.keys() <= told


def test_nothing_is_a_default_that_only_a_person_can_know():
    assert len(faults_of({"APP_ENV": "production"})) > 5
