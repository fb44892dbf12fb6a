"""A command in a container, over the API server's websocket (protocol v4.channel.k8s.io): one byte names the channel."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import quote, urlencode

import websocket

from wizard.clusters.bounds import MAX_FRAME, MAX_GREETING, TooMuch, parsed
from wizard.clusters.port import Executed
from wizard.clusters.wire import Answer, NoAnswer, Wire
from wizard.errors import words_of
from wizard.messages import msg
from wizard.text import one_line

MAX_OUTPUT = 1 << 20
_STDIN, _STDOUT, _STDERR, _STATUS = 0, 1, 2, 3
_FRAME = 1 << 14


def query_of(container: str, argv: Sequence[str], *, stdin: bool = False) -> str:
    """What to ask of a pod's `exec`."""
    words = [("command", word) for word in argv]
    streams = [(name, "true") for name in (["stdin"] if stdin else []) + ["stdout", "stderr"]]
    return urlencode([*words, ("container", container), *streams], quote_via=quote)


def execute(
    wire: Wire,
    path: str,
    headers: Mapping[str, str],
    *,
    connect: float,
    until: float,
    seconds: float,
    stdin: bytes = b"",
) -> Executed | Answer:
    """How it ended, or the API server's refusal to begin it. `connect`: seconds to connect, `until` (monotonic): until when it
    must have begun, `seconds`: how long it may last, `stdin`: what it may read. Raises NoAnswer where the connection fails before
    its end.
    """
    with wire.open(connect=connect, until=until) as (spoken, limits):
        address = f"wss://{wire.route.server.partition('://')[2]}{path}"
        channel = websocket.WebSocket(skip_utf8_validation=True)
        channel.frame_buffer = _Bounded(channel._recv, skip_utf8_validation=True)  # noqa: SLF001 - as it makes its own
        limits.left = MAX_GREETING
        given = [
            f"{name}: {value.encode('latin-1').decode()}" for name, value in headers.items()
        ]  # it sends UTF-8 itself
        try:
            channel.connect(  # type: ignore[no-untyped-call]
                address, socket=spoken, header=given, subprotocols=["v4.channel.k8s.io"], suppress_origin=True,
                redirect_limit=0,
            )  # fmt: skip
        except websocket.WebSocketBadStatusException as refused:
            body = refused.resp_body or b""
            return _refused(refused.status_code, dict(refused.resp_headers or {}), body)
        except TooMuch as error:
            raise NoAnswer(words_of(error), sent=False, large=True) from error
        except (websocket.WebSocketException, OSError, ValueError) as error:
            if channel.getstatus() not in {None, HTTPStatus.SWITCHING_PROTOCOLS}:
                return _refused(channel.getstatus(), {}, b"")  # it leads elsewhere: there is no following
            raise NoAnswer(one_line(words_of(error)) or msg("it is silent"), sent=False) from error
        limits.until = time.monotonic() + seconds
        limits.silence = seconds
        limits.left = math.inf
        kept = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
        try:
            # Where it ended before it read all, what comes back tells why.
            with contextlib.suppress(websocket.WebSocketConnectionClosedException, BrokenPipeError):
                for start in range(0, len(stdin), _FRAME):
                    channel.send_binary(bytes([_STDIN]) + stdin[start : start + _FRAME])
            for data in _frames(channel):
                into = kept.get(data[0])
                if into is not None:
                    into += data[1 : 1 + MAX_OUTPUT - len(into)]
        except (websocket.WebSocketTimeoutException, TimeoutError):
            said = kept[_STDERR].decode(errors="replace")
            return Executed(kept[_STDOUT].decode(errors="replace"), f"{said}\nno end within {seconds:.0f} s", -1)
        except TooMuch as error:
            raise NoAnswer(words_of(error), sent=True, large=True) from error
        except (websocket.WebSocketException, OSError, ValueError) as error:
            why = msg("the connection to the command was lost: {reason}", reason=one_line(words_of(error)))
            raise NoAnswer(why, sent=True) from error
        with contextlib.suppress(websocket.WebSocketException, OSError):
            channel.send_close()
    return _ended(*(kept[each].decode(errors="replace") for each in (_STDOUT, _STDERR, _STATUS)))


def _refused(status: int | None, headers: Mapping[str, str], body: bytes) -> Answer:
    """Any answer is a refusal, where none was asked for."""
    if status is None or status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(HTTPStatus.BAD_REQUEST, {}, b"", 0.0, msg("what answers there speaks no websocket"))
    return Answer(status, headers, body, 0.0)


class _Bounded(websocket.frame_buffer):
    """The library would take in whatever length a message, or the first part of one, declares."""

    _message = 0  # bytes of what is not whole yet

    def recv_length(self) -> None:
        super().recv_length()
        last, operation = (self.header[0], self.header[4]) if self.header else (1, 0)
        length = (self.length or 0) + self._message
        if length > MAX_FRAME:
            raise TooMuch(msg("one message of a command is longer than {limit} MiB", limit=MAX_FRAME >> 20))
        if operation in {websocket.ABNF.OPCODE_CONT, websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY}:
            self._message = 0 if last else length


def _frames(channel: websocket.WebSocket) -> Iterator[bytes]:
    while True:
        try:
            operation, data = channel.recv_data()
        except websocket.WebSocketConnectionClosedException:
            return  # the last channel tells whether that was the end
        if operation == websocket.ABNF.OPCODE_CLOSE:
            return
        if data:
            yield data


def _ended(out: str, err: str, told: str) -> Executed | Answer:
    """The last channel tells how it ended; where it says nothing, the connection was lost before that."""
    try:
        status = parsed(told.encode())
        causes = (status.get("details") or {}).get("causes") or []
        code = next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), 0)
        succeeded = status.get("status") == "Success"
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise NoAnswer(msg("the connection to the command was lost"), sent=True) from error
    if not succeeded and code == 0:
        # It never began, or was torn down: the container is gone, say.
        return Answer(HTTPStatus.BAD_REQUEST, {}, told.encode(), 0.0)
    return Executed(out, err, 0 if succeeded else code)
