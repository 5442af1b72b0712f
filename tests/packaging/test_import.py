"""What `import oidcbridge` costs a program that has its dependencies already: each try is a fresh interpreter."""

import json
import subprocess
import sys

FRAMEWORKS = {"agno", "authlib", "fastapi", "fastmcp", "httpx2", "redis", "rich", "starlette", "typer", "uvicorn"}
LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"
OTHERS = """
import json, sys
from oidcbridge import *
def is_others(name, module):
    spec = getattr(module, "__spec__", None)
    top = name.partition(".")[0]
    return spec is not None and spec.name == name and top != "oidcbridge" and top not in sys.stdlib_module_names
print(json.dumps([name for name, module in sys.modules.items() if is_others(name, module)]))
"""
# Processor time, since a busy machine stretches the clock on the wall
COST = """
import importlib, json, sys, time
started = time.process_time()
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
between = time.process_time()
{statement}
print(json.dumps([between - started, time.process_time() - between]))
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def cost(statement: str, *, after: str) -> tuple[float, float]:
    """Seconds that importing these modules takes, and then that statement: the best of three."""
    tries = [json.loads(run(COST.format(statement=statement), after)) for _ in range(3)]
    return min(others for others, _ in tries), min(own for _, own in tries)


def test_the_root_import_loads_no_framework_and_no_http_client() -> None:
    loaded = set(json.loads(run("import oidcbridge;" + LOADED)))
    assert "oidcbridge" in loaded
    assert loaded & FRAMEWORKS == set()


def test_the_root_import_takes_well_under_100_ms() -> None:
    _, own = cost("import oidcbridge", after="[]")
    assert own < 0.050


def test_every_public_name_together_costs_less_than_its_dependencies_own_import() -> None:
    dependencies = run(OTHERS)
    assert "joserfc" in json.loads(dependencies), "the dependencies are imported before the clock starts"
    others, own = cost("from oidcbridge import *", after=dependencies)
    assert own < others
