"""What a start notes down, so that a later stop, status or reset finds the same server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from devserver.terminal import KeycloakError

REALM = "agents"


@dataclass(frozen=True)
class Record:
    """A started server.

    `pid` and `management_port` are 0 with Docker, where the engine knows the process and the port is not published.
    """

    engine: Literal["docker", "local"]
    port: int
    management_port: int = 0
    pid: int = 0

    @property
    def base_url(self) -> str:
        """The address as it stands in every issuer; one spelling everywhere, so never `localhost`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer_url(self) -> str:
        """The issuer of the realm that the examples and tests use."""
        return f"{self.base_url}/realms/{REALM}"


def read_record(home: Path) -> Record | None:
    """Return what the last start in this home noted, or None when nothing was started.

    Raises KeycloakError when the note is damaged.
    """
    path = _path(home)
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise KeycloakError(f"{path} is damaged: end Keycloak by hand if it runs, then delete the file.") from error


def write_record(home: Path, record: Record) -> None:
    """Note a started server; the folder is made when it is missing."""
    home.mkdir(parents=True, exist_ok=True)
    _path(home).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


def forget_record(home: Path) -> None:
    """Forget the server that was stopped."""
    _path(home).unlink(missing_ok=True)


def _path(home: Path) -> Path:
    return home / "server.json"
