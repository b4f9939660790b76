"""The processes of the Procfile exist, every queue has one, and every door has a guard."""

import shlex

import wsgi
from admin.cli import COMMANDS
from core import outbox
from core.errands import ERRANDS
from core.runtime import Runtime
from tests.house import tree


def commands() -> list[list[str]]:
    """The words of each line that runs a command of ours."""
    lines = (tree.ROOT / "Procfile").read_text().splitlines()
    words = [shlex.split(line.partition(":")[2]) for line in lines]
    return [line[3:] for line in words if line[:3] == ["flask", "--app", "wsgi"]]


def test_the_processes_of_the_procfile_exist() -> None:
    known = {command.name: command for command in COMMANDS}
    for name, *arguments in commands():
        known[name].make_context(name, arguments)  # which refuses arguments that do not fit


def test_every_queue_has_one_process_type() -> None:
    """A worker on several queues can lose a job that it has popped when it is killed."""
    assert sorted(line[1:] for line in commands() if line[0] == "worker") == sorted(
        [queue] for queue in outbox.QUEUES
    )


def test_every_door_has_a_guard() -> None:
    for door in wsgi.DOORS:
        assert door.before_request_funcs.get(None), f"{door.name}: give it a before_request guard"


def test_every_route_is_behind_a_door(rt: Runtime) -> None:
    doors = {door.name for door in wsgi.DOORS}
    for route in wsgi.create_app(rt).url_map.iter_rules():
        assert route.endpoint.partition(".")[0] in doors, f"{route}: move it into a blueprint"


def test_every_promise_has_a_sender(rt: Runtime) -> None:
    assert set(ERRANDS) <= set(wsgi.build(rt.config).senders)
