"""The smaller parts: the thread, those who are held, the exceptions that may be raised."""

from __future__ import annotations

import gc
import threading
from functools import partial

import pytest

from faultware import Abort, InjectedFault, Raise
from faultware.errors import RuleError, SettingsError
from faultware.runtime.exceptions import Exceptions
from faultware.runtime.holding import Holding
from faultware.runtime.refresher import Refresher
from tests.runtime.kit import PATIENCE_SECONDS, make_injector, names
from tests.state.test_stores import eventually


class Owner:
    """Counts its ticks; the pause it asks for never ends by itself."""

    def __init__(self, pause: float = 10_000.0) -> None:
        self.ticks = 0
        self.ticked = threading.Event()
        self._pause = pause

    def tick(self) -> float:
        self.ticks += 1
        self.ticked.set()
        return self._pause

    def wait(self) -> None:
        assert self.ticked.wait(PATIENCE_SECONDS)
        self.ticked.clear()


# The refresher.


def test_the_refresher_ticks_at_once_and_whenever_it_is_woken():
    owner = Owner()
    refresher = Refresher(owner)
    owner.wait()
    refresher.wake()
    owner.wait()
    refresher.wake()
    owner.wait()
    assert owner.ticks == 3


def test_the_refresher_ticks_again_when_the_pause_is_over():
    owner = Owner(pause=0.0)
    Refresher(owner)
    for _ in range(3):
        owner.wait()


def test_the_refresher_ends_when_its_owner_is_garbage():
    owner = Owner()
    refresher = Refresher(owner)
    owner.wait()
    assert refresher._thread.daemon
    del owner
    gc.collect()
    refresher._thread.join(PATIENCE_SECONDS)
    assert not refresher._thread.is_alive()


def test_the_thread_of_an_injector_sees_a_kill_file_and_ends_with_the_injector(tmp_path, refreshed):
    injector = make_injector("/pay 100% abort 503 as pay", kill_file=tmp_path / "kill")
    eventually(partial(names, injector))
    released = threading.Event()
    injector.hold(released.set)
    (tmp_path / "kill").touch()
    assert released.wait(PATIENCE_SECONDS)
    assert injector.switch.killed
    thread = injector._refresher._thread
    del injector
    gc.collect()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


# Those who are held.


def test_everybody_who_is_held_is_released_once():
    holding, released = Holding(), []
    assert holding.add(lambda: released.append("a"))
    assert not holding.add(lambda: released.append("b"))
    assert len(holding) == 2
    assert holding.release_all() == 2
    assert sorted(released) == ["a", "b"]
    assert (len(holding), holding.release_all()) == (0, 0)


def test_who_went_on_is_not_released():
    holding, event = Holding(), threading.Event()
    holding.add(event.set)
    holding.remove(event.set)
    assert holding.release_all() == 0
    assert not event.is_set()
    holding.remove(event.set)


def test_a_release_may_leave_while_all_are_released():
    holding = Holding()

    def release():
        holding.remove(release)

    holding.add(release)
    assert holding.release_all() == 1
    assert holding.add(release)


def test_threads_that_come_and_go_while_all_are_released_are_not_forgotten():
    holding, begin = Holding(), threading.Barrier(5)
    left = []

    def come_and_go():
        begin.wait(PATIENCE_SECONDS)
        for _ in range(200):
            event = threading.Event()
            holding.add(event.set)
            if not event.wait(PATIENCE_SECONDS):
                left.append(event)
            holding.remove(event.set)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    begin.wait(PATIENCE_SECONDS)
    while any(thread.is_alive() for thread in threads):
        holding.release_all()
    assert not left
    assert len(holding) == 0


# The exceptions that may be raised.


class Broken(Exception):
    pass


def test_an_injected_fault_is_always_registered():
    made = Exceptions().make("InjectedFault")
    assert isinstance(made, InjectedFault)
    assert str(made) == "injected by faultware"


def test_classes_are_registered_under_their_names_and_a_mapping_under_its_own():
    assert isinstance(Exceptions([Broken, TimeoutError]).make("Broken"), Broken)
    exceptions = Exceptions({"db.timeout": TimeoutError, "broken": lambda: Broken("made")})
    assert isinstance(exceptions.make("db.timeout"), TimeoutError)
    assert str(exceptions.make("broken")) == "made"
    assert Exceptions({"x": Broken}).make("x") is not Exceptions({"x": Broken}).make("x")


@pytest.mark.parametrize("given", [[SystemExit], [KeyboardInterrupt], [StopIteration], [StopAsyncIteration], [int]])
def test_what_would_end_more_than_the_request_is_refused(given):
    with pytest.raises(SettingsError) as caught:
        Exceptions(given)
    name = given[0].__name__
    assert str(caught.value) == (
        f"exceptions[{name!r}]: {name} cannot be injected "
        "(a subclass of Exception, but not StopIteration or StopAsyncIteration)"
    )
    with pytest.raises(SettingsError):
        Exceptions({"mine": given[0]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (TimeoutError, "exceptions: <class 'TimeoutError'> is not a list (write exceptions=[TimeoutError])"),
        (5, "exceptions: 5 is not a list (write exceptions=[TimeoutError])"),
        (["TimeoutError"], "exceptions: 'TimeoutError' is not an exception class"),
        ({"x": "TimeoutError"}, "exceptions['x']: 'TimeoutError' makes no exception"),
        (
            [ValueError, type("ValueError", (Exception,), {})],
            (
                "exceptions: two exceptions are called ValueError "
                "(name them: exceptions={'ValueError': …, 'OtherValueError': …})"
            ),
        ),
    ],
)
def test_what_is_no_exception_is_refused(given, message):
    with pytest.raises(SettingsError) as caught:
        Exceptions(given)
    assert str(caught.value) == message


@pytest.mark.parametrize("made", [None, "x", SystemExit(), StopIteration()])
def test_a_function_that_makes_no_exception_is_found_out(made):
    with pytest.raises(SettingsError, match="is no exception that a request can raise"):
        Exceptions({"x": lambda: made}).make("x")


def test_a_rule_that_raises_what_nobody_registered_is_refused_with_what_is():
    Exceptions([Broken]).check([Abort(503), Raise("Broken"), Raise("InjectedFault")])
    with pytest.raises(RuleError) as caught:
        Exceptions([Broken]).check([Raise("os.system")])
    assert str(caught.value) == (
        "raise: no exception is registered as 'os.system' "
        "(names that the application registered: Broken, InjectedFault)"
    )
