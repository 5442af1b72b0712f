"""Java, and Keycloak's Maven distribution: fetched, unpacked and built once, then shared by every instance."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from devserver.terminal import KeycloakError, UnavailableError, step

VERSION = "26.7.3"  # the image in docker/compose.yml is the same version; a test holds them together
SHA256 = "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:tar.gz"
TARBALL = f"keycloak-quarkus-dist-{VERSION}.tar.gz"
MINIMUM_JAVA = 17

# These two are deprecated, on by default, and warn at every start; nothing here uses them.
BUILD_OPTIONS = (
    "--db=dev-file",
    "--health-enabled=true",
    "--features-disabled=identity-brokering-api,twitter-broker",
)


def find_java() -> Path:
    """Return a `java` that can run Keycloak: the one of JAVA_HOME, else the one on PATH.

    Raises UnavailableError when there is none, or only one that is too old.
    """
    too_old = 0
    for java in _java_candidates():
        version = _java_version(java)
        if version >= MINIMUM_JAVA:
            return java
        too_old = max(too_old, version)
    if too_old:
        raise UnavailableError(
            f"Java {too_old} is too old for Keycloak {VERSION}: install Java {MINIMUM_JAVA} or newer"
            " and point JAVA_HOME at it, or start Docker."
        )
    raise UnavailableError(
        f"Keycloak needs a running Docker engine, or Java {MINIMUM_JAVA} or newer with Maven: install one of them"
        " (apt install default-jre-headless maven, or brew install openjdk maven)."
    )


def built_distribution(cache: Path, java: Path, given: Path | None) -> Path:
    """Return the folder of an unpacked and built Keycloak, making it on the first call.

    `given` is a tarball that the user has already; without it the local Maven repository is tried, then Maven.
    Raises KeycloakError when the tarball cannot be had, is not the pinned one, or does not build.
    """
    target = cache / f"keycloak-{VERSION}"
    stamp = target / "built-with"
    wanted = "\n".join(BUILD_OPTIONS)
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return target
    cache.mkdir(parents=True, exist_ok=True)
    # Made aside and renamed when it is whole: an interrupted or a simultaneous first start leaves nothing half done.
    with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as aside:
        tarball = given or _tarball_in_maven_repository() or _fetched_by_maven(Path(aside))
        _unpack(tarball, Path(aside))
        fresh = Path(aside) / target.name
        _build(fresh, java)
        (fresh / stamp.name).write_text(wanted, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    return target


def environment(java: Path) -> dict[str, str]:
    """Return the variables that kc.sh runs with: the user's, less those that would change the server.

    A stray KC_ variable overrides the build, and kc.sh opens a debugger port when a plain DEBUG says true.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KC_") and name not in {"DEBUG", "DEBUG_PORT", "DEBUG_SUSPEND", "PRINT_ENV"}
    }
    # The quick compiler alone starts in two thirds of the time; a development server never earns the rest back.
    options = f"{kept.get('JAVA_OPTS_APPEND', '')} -XX:TieredStopAtLevel=1".strip()
    return kept | {"JAVA": str(java), "JAVA_OPTS_APPEND": options}


def _java_candidates() -> list[Path]:
    home = os.environ.get("JAVA_HOME")
    candidates = [Path(home, "bin", "java")] if home else []
    on_path = shutil.which("java")
    return [*candidates, *([Path(on_path)] if on_path else [])]


def _java_version(java: Path) -> int:
    """Return the major version; 0 for a program that is none (macOS has a stub that only shows a dialog)."""
    try:
        shown = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', shown.stderr + shown.stdout)
    return int(found[1]) if found else 0


def _tarball_in_maven_repository() -> Path | None:
    folder = Path.home() / ".m2/repository/org/keycloak/keycloak-quarkus-dist" / VERSION
    return folder / TARBALL if (folder / TARBALL).is_file() else None


def _fetched_by_maven(folder: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError(
            f"Keycloak's distribution is fetched with Maven: install it (apt install maven), start Docker,"
            f" or pass --dist PATH/{TARBALL}."
        )
    # `copy` and not `get`: it fetches too, and works wherever the user's settings put the local repository.
    command = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
    with step(f"Fetching Keycloak {VERSION} with Maven (176 MB, once)"):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        # The first line that says [ERROR] is the reason, behind a colour code; the rest is advice about flags.
        reason = done.stdout.partition("[ERROR]")[2].splitlines()[:1] or [f"exit code {done.returncode}"]
        raise KeycloakError(f"Maven could not fetch {ARTIFACT}: {reason[0].strip()}")
    return folder / TARBALL


def _unpack(tarball: Path, folder: Path) -> None:
    if not tarball.is_file():
        raise KeycloakError(f"There is no {tarball}: --dist and KEYCLOAK_DIST name the file {TARBALL}.")
    with step(f"Unpacking Keycloak {VERSION} (once)"):
        with tarball.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != SHA256:
            raise KeycloakError(
                f"{tarball} is not Keycloak {VERSION} as it was published (SHA-256 {digest}): delete it."
            )
        with tarfile.open(tarball) as archive:
            archive.extractall(folder, filter="data")


def _build(distribution: Path, java: Path) -> None:
    command = [str(distribution / "bin" / "kc.sh"), "build", *BUILD_OPTIONS]
    with step(f"Building Keycloak {VERSION} (once, about half a minute)"):
        done = subprocess.run(
            command,
            env=environment(java),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if done.returncode:
        raise KeycloakError(f"Keycloak did not build (exit code {done.returncode}):\n{done.stdout[-2000:]}")
