"""fastmcp's own client, run in the environment that has it: calls a tool and prints what came of it as JSON.

    python tests/e2e/mcp_client.py http://127.0.0.1:8000/mcp ask_helper '{"message": "hi"}' < token

Prints ``{"tools": [names], "is_error": bool, "answer": text}``. The token comes by stdin, since a process's arguments
are everyone's to read.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client


async def call(url: str, tool: str, arguments: dict[str, Any], token: str) -> dict[str, Any]:
    """Connect, list the tools, call one."""
    async with Client(url, auth=token) as client:
        names = sorted(one.name for one in await client.list_tools())
        result = await client.call_tool(tool, arguments, raise_on_error=False)
        answer = "".join(getattr(part, "text", "") for part in result.content)
        return {"tools": names, "is_error": result.is_error, "answer": answer}


if __name__ == "__main__":
    url, tool, arguments = sys.argv[1:]
    print(json.dumps(asyncio.run(call(url, tool, json.loads(arguments), sys.stdin.read().strip()))))
