#!/usr/bin/env python3
"""The Keycloak that this project is developed against: realm `agents`, on 127.0.0.1 only.

With a running Docker engine it is the container of compose.yml; without one, the same version and the same
realm files from the Maven distribution, which needs Java 17 or newer. Python's standard library only.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from devserver.compose import ComposeServer, find_compose
from devserver.distribution import TARBALL, VERSION, built_distribution, find_java
from devserver.local import LocalServer
from devserver.probe import claim_ports
from devserver.record import Record, forget_record, read_record
from devserver.terminal import KeycloakError, say, step

DOCKER = Path(__file__).resolve().parent
DATA = DOCKER.parent / ".keycloak"
DEFAULT_PORT = 8080

Server = LocalServer | ComposeServer


def start(options: argparse.Namespace) -> int:
    """Start Keycloak, unless it runs."""
    known = _known(options.home)
    if known is not None:
        server, record = known
        say(f"Keycloak is already {'running' if server.is_ready(record) else 'starting'}.")
        _announce(record, options)
        return 0
    engine = _engine(options)
    record = _launch(engine, options)
    _announce(record, options)
    if options.foreground:
        _stay(engine, record)
    return 0


def stop(options: argparse.Namespace) -> int:
    """Stop what start has started; the realms and their keys stay."""
    known = _known(options.home)
    if known is None:
        say("Keycloak is not running.")
        return 0
    _halt(*known)
    return 0


def reset(options: argparse.Namespace) -> int:
    """Stop, delete the database, and start again from the realm files as they are now."""
    known = _known(options.home)
    if known is not None:
        engine, record = known
        _halt(engine, record)
        options.local = record.engine == "local"
        options.port = record.port if options.port is None else options.port
    else:
        engine = _engine(options)
    engine.wipe()
    _announce(_launch(_engine(options), options), options)
    return 0


def status(options: argparse.Namespace) -> int:
    """Say whether Keycloak runs; 0 when it is ready, else 1."""
    known = _known(options.home)
    if known is None:
        print("Keycloak is not running.")
        return 1
    server, record = known
    ready = server.is_ready(record)
    print(f"Keycloak {VERSION} is {'ready' if ready else 'starting'}: {record.issuer_url}")
    return 0 if ready else 1


def run(options: argparse.Namespace) -> int:
    """Start in the foreground: the log on stdout, stopped by Ctrl-C."""
    options.foreground = True
    return start(options)


def _known(home: Path) -> tuple[Server, Record] | None:
    """Return the server that a start has noted, if it still runs."""
    record = read_record(home)
    if record is None:
        return None
    server = _noted_server(home, record)
    if server is not None and server.is_running(record):
        return server, record
    forget_record(home)
    return None


def _noted_server(home: Path, record: Record) -> Server | None:
    if record.engine == "local":
        return LocalServer(home)
    compose = find_compose()
    return None if compose is None else ComposeServer(home, compose, record.port)


def _engine(options: argparse.Namespace) -> Server:
    compose = None if options.local else find_compose()
    if compose is None:
        return LocalServer(options.home)
    return ComposeServer(options.home, compose, *claim_ports(_wanted_port(options)))


def _launch(engine: Server, options: argparse.Namespace) -> Record:
    if isinstance(engine, ComposeServer):
        return engine.start()
    if not options.realms.is_dir():
        raise KeycloakError(f"There is no folder {options.realms}: --realms names the folder of the realm files.")
    java = find_java()
    engine.check_home()
    ports = _wanted_port(options), options.management_port
    claim_ports(*ports)  # looked at before the long work below, so that a taken port is said at once
    distribution = built_distribution(options.cache, java, options.dist)
    port, management_port = claim_ports(*ports)
    return engine.start(options.realms, port, management_port, distribution, java)


def _wanted_port(options: argparse.Namespace) -> int:
    return DEFAULT_PORT if options.port is None else int(options.port)


def _stay(server: Server, record: Record) -> None:
    """Show the log until Keycloak ends or we are told to; then stop it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.follow(record)
    except KeyboardInterrupt:
        say("")
    finally:
        _halt(server, record)


def _halt(server: Server, record: Record) -> None:
    with step("Stopping Keycloak"):
        server.stop(record)


def _announce(record: Record, options: argparse.Namespace) -> None:
    chosen = "KC_BOOTSTRAP_ADMIN_PASSWORD" in os.environ
    home = f" --home {options.home}" if options.home != DATA / "server" else ""
    print(f"Issuer:   {record.issuer_url}")
    print(f"Console:  {record.base_url}/admin/  ({'the administrator you chose' if chosen else 'admin / admin'})")
    token = f"oidcbridge token --issuer {record.issuer_url} --client-id agent-ui --scope 'openid agents:run'"
    print(f"Token:    .venv/bin/{token}  (as ada / ada-pw)")
    print(f"Stop:     python3 docker/keycloak.py stop{home}", flush=True)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: write a number up to 65535")
    return int(text)


def _path(text: str) -> Path:
    return Path(text).expanduser().resolve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keycloak.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="start|run|stop|reset|status")
    for command in (start, run, stop, reset, status):
        _add_command(commands.add_parser(command.__name__, help=command.__doc__), command)
    return parser


def _add_command(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int]) -> None:
    given = os.environ.get("KEYCLOAK_DIST")
    add = parser.add_argument
    parser.set_defaults(call=command, foreground=False)
    add("--home", type=_path, default=DATA / "server", metavar="DIR", help="folder of this instance's data")
    if command in (stop, status):
        return
    add("--port", type=_port, metavar="N", help=f"port of the server (default {DEFAULT_PORT}; 0: a free one)")
    add("--management-port", type=_port, default=0, metavar="N", help="port of the health check (default: a free one)")
    add("--realms", type=_path, default=DOCKER / "keycloak", metavar="DIR", help="folder of the realm files")
    add("--local", action="store_true", help="use Java even where Docker runs")
    add("--cache", type=_path, default=DATA / "dist", metavar="DIR", help="folder of the unpacked distribution")
    add("--dist", type=_path, default=given and _path(given), metavar="FILE", help=f"a {TARBALL} that is here already")
    if command is start:
        stays = parser.add_mutually_exclusive_group()
        stays.add_argument("--foreground", action="store_true", help="show the log, and stop with Ctrl-C")
        stays.add_argument("--detach", action="store_false", dest="foreground", help="return when ready (default)")


def main() -> int:
    """Run one command; a fault is its text on stderr and an exit code other than 0."""
    options = _parser().parse_args()
    try:
        return int(options.call(options))
    except KeycloakError as fault:
        say(str(fault))
        return fault.exit_code
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
