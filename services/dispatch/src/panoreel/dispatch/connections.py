"""How long a client may take to send a request."""

import asyncio
from http import HTTPStatus
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from panoreel.dispatch.refusal import refusal

REQUEST_TIMEOUT_S: Final = 10.0
"""From the connection, or a later request's first byte, to the end of the body."""

_UNFINISHED: Final = (h11.IDLE, h11.SEND_BODY)


class PunctualProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which by itself waits forever for a request that does not come whole.

    Whether the client may call takes no part in it: the time runs before that can be told.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Go on with a request, or begin one."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Another request may have been waiting."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in _UNFINISHED:
            self._stop_watching()
        elif self._timer is None and self.timeout_keep_alive_task is None:
            self._timer = self.loop.call_later(REQUEST_TIMEOUT_S, self._give_up)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.SEND_RESPONSE:
            sentence = f"the request did not arrive within {REQUEST_TIMEOUT_S:g} seconds"
            answer = refusal(HTTPStatus.REQUEST_TIMEOUT, sentence, {"Connection": "close"})
            head = h11.Response(status_code=answer.status_code, headers=answer.raw_headers)
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
