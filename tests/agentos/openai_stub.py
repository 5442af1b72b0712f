"""A model provider for examples: OpenAI's chat completions on a free port of 127.0.0.1, whole or as a stream.

    with OpenAIStub() as model:
        ...                     # OPENAI_BASE_URL=model.base_url, OPENAI_API_KEY=anything
        model.asked             # the requests, oldest first

Its model calls the first tool it is offered, once, without arguments, and then repeats what the tool said. It needs no
agno: the examples that ask it run in an environment of their own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]
PATH = "/v1/chat/completions"
SAID = "TOOL SAID: "
"""What the model says before it repeats a tool's answer."""


class OpenAIStub:
    """A context manager: the server runs inside the ``with``."""

    def __init__(self) -> None:
        self.asked: list[Json] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"asked": self.asked}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        """What ``OPENAI_BASE_URL`` has to say."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[Json]
    _ids = count()

    def do_POST(self) -> None:
        question: Json = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != PATH:
            self._answer(404, "application/json", [json.dumps({"error": {"message": f"no {self.path}"}})])
            return
        self.asked.append(question)
        message = answer_to(question)
        head = {"id": f"chatcmpl-{next(self._ids)}", "created": 1, "model": question["model"]}
        if question.get("stream"):
            events = [*chunks(message, head), "[DONE]"]
            self._answer(200, "text/event-stream", [f"data: {event}\n\n" for event in events])
        else:
            self._answer(200, "application/json", [json.dumps(completion(message, head))])

    def _answer(self, status: int, media_type: str, parts: list[str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Connection", "close")  # whose end is the stream's
        self.end_headers()
        for part in parts:
            self.wfile.write(part.encode())
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked stands in ``asked``."""


def answer_to(question: Json) -> Json:
    """The model's message: a call of the first tool, or what that tool has said."""
    last = question["messages"][-1]
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"{SAID}{last['content']}"}
    tools = [tool["function"]["name"] for tool in question.get("tools", ())]
    if not tools:
        return {"role": "assistant", "content": "I have no tool."}
    call = {"id": "call_1", "type": "function", "function": {"name": tools[0], "arguments": "{}"}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def completion(message: Json, head: Json) -> Json:
    """The message as one answer."""
    choice = {"index": 0, "message": message, "finish_reason": _reason(message)}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage}


def chunks(message: Json, head: Json) -> Iterator[str]:
    """The message as a stream: a word at a time, or the call of a tool, and then why it ended."""
    calls = [{"index": index, **call} for index, call in enumerate(message.get("tool_calls", ()))]
    words = (message["content"] or "").split(" ")
    deltas: list[Json] = [{"tool_calls": calls}] if calls else [{"content": f"{word} "} for word in words[:-1]]
    if not calls:
        deltas.append({"content": words[-1]})
    for delta in [{"role": "assistant"}, *deltas]:
        yield _chunk(head, delta, None)
    yield _chunk(head, {}, _reason(message))


def _chunk(head: Json, delta: Json, reason: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return json.dumps({**head, "object": "chat.completion.chunk", "choices": [choice]})


def _reason(message: Json) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"
