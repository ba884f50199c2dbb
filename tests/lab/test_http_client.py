"""The client that talks to scoring servers, against a server that answers what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from loadtest.lab.http_client import Answer, ConnectionBroken, encode_request, exchange

pytestmark = pytest.mark.lab

REQUEST = encode_request("POST", "/score", {"Content-Type": "application/json"}, b'{"a": 1}')


async def answered_with(*pieces: bytes, hold_open: bool = False) -> Answer:
    """What the client makes of an answer that arrives in these pieces."""
    received: list[bytes] = []
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readexactly(len(REQUEST)))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        if hold_open:
            assert await reader.read() == b"", "the client closes as soon as the answer is complete"
        writer.close()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        try:
            answer = await asyncio.wait_for(exchange(server.sockets[0].getsockname()[1], REQUEST), 5)
        finally:
            await served.wait()
    assert received == [REQUEST]
    return answer


def test_an_answer_in_pieces_is_put_together_and_the_connection_closed() -> None:
    pieces = (b"HTTP/1.1 200 OK\r\nX-Ms", b"-A: b\r\nContent-Length: 5\r", b"\n\r\nhel", b"lo")
    answer = asyncio.run(answered_with(*pieces, hold_open=True))
    assert answer == Answer(200, {"x-ms-a": "b", "content-length": "5"}, b"hello")


def test_without_a_length_the_answer_ends_with_the_connection() -> None:
    answer = asyncio.run(answered_with(b"HTTP/1.0 502 Bad\r\nA: b\r\n\r\nhel", b"lo"))
    assert (answer.status, answer.body) == (502, b"hello")


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 200 OK\r\nCont", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_connection_that_ends_early_is_broken(piece: bytes) -> None:
    with pytest.raises(ConnectionBroken, match="closed before replying"):
        asyncio.run(answered_with(piece))


def test_what_is_not_http_is_broken() -> None:
    with pytest.raises(ConnectionBroken, match="not HTTP"):
        asyncio.run(answered_with(b"hello\r\n\r\n"))


def on_a_port_with(
    play: Callable[[int], Awaitable[None]], serve: Callable[[asyncio.StreamReader], Awaitable[None]]
) -> None:
    async def main() -> None:
        async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve(reader)
            writer.close()

        server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
        async with server:
            await play(server.sockets[0].getsockname()[1])

    asyncio.run(main())


def test_giving_up_resets_the_connection() -> None:
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader) -> None:
        try:
            await reader.readexactly(len(REQUEST) + 1)
        except ConnectionResetError:
            seen.append("reset")
        except asyncio.IncompleteReadError:
            seen.append("closed")

    async def play(port: int) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange(port, REQUEST), 0.1)
        await asyncio.sleep(0.1)

    on_a_port_with(play, serve)
    assert seen == ["reset"]


def test_a_port_nobody_listens_on_is_broken() -> None:
    with pytest.raises(ConnectionBroken):
        asyncio.run(exchange(1, REQUEST))
