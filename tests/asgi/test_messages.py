"""What happens to the messages of a WebSocket: they are late, lost, doubled and damaged."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from tests.asgi.peer import Echo, Peer, play
from tests.asgi.server import wrapped
from tests.asgi.test_holding import kill_at

MANY = 400


def test_messages_are_delayed_in_order_in_both_directions(time):
    async def main():
        app = wrapped(Echo(), "/ws 100% websocket_messages delay=1s as w", time)
        peer = await play(app, Peer(time, "a", b"b", "c", stays=False))
        # The client leaves behind its last message: what is still held then goes on at once.
        assert peer.got == ["a", b"b", "c"]
        app = wrapped(Echo(), "/ws 100% websocket_messages delay=1s + websocket_close 1000 messages=4 as w", time)
        peer = await play(app, Peer(time, "a", "b", "c", stays=True))
        assert (peer.got, peer.times) == (["a", "b"], [0, 2, 4, 4])

    time.run(main)


def test_a_kill_lets_delayed_messages_go(time):
    async def main():
        app = wrapped(Echo(), "/ws 100% websocket_messages delay=20s as w", time)
        peer = Peer(time, "a", "b", 5.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_at, app, 1.0)
            await play(app, peer)
        assert (peer.got, peer.times) == (["a", "b"], [0, pytest.approx(1), pytest.approx(1)])

    time.run(main)


@pytest.mark.parametrize("direction", ["incoming", "outgoing", "both"])
def test_messages_are_lost_doubled_and_damaged_in_the_direction_that_is_named(time, direction):
    async def main():
        def rules(options):
            return f"/ws 100% websocket_messages {options} of={direction} as w"

        async def through(options, *messages):
            echo = Echo()
            peer = await play(wrapped(echo, rules(options), time, random=lambda: 0.25), Peer(time, *messages))
            return len(echo.heard) - 1, peer.got

        numbers = [str(number) for number in range(MANY)]
        came, got = await through("drop=100%", *numbers)
        assert (came, got) == (MANY if direction == "outgoing" else 0, [])
        came, got = await through("drop=50%", *numbers)
        assert (came == MANY) is (direction == "outgoing")
        assert all(int(a) < int(b) for a, b in pairwise(got))
        assert MANY * (0.15 if direction == "both" else 0.4) < len(got) < MANY * (0.35 if direction == "both" else 0.6)
        assert (await through("drop=50%", *numbers))[1] == got  # the same draw, the same messages
        came, got = await through("duplicate=100%", "a", b"b")
        times = 4 if direction == "both" else 2
        assert (came, got) == (2 if direction == "outgoing" else 4, ["a"] * times + [b"b"] * times)
        came, got = await through("corrupt=100%", "abc", b"\x00\x01")
        assert [len(one) for one in got] == [3, 2]
        if direction != "both":  # twice may be none
            assert all(
                a != b
                for one, whole in zip(got, ["abc", b"\x00\x01"], strict=True)
                for a, b in zip(one, whole, strict=True)
            )

    time.run(main)
