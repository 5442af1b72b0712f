"""Where ``check`` and ``inspect`` get their token and their settings from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from oidcbridge.cli.terminal import ask_secret, say
from oidcbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from oidcbridge.arguments import VerifierArguments
    from oidcbridge.settings import Settings

_MAX_CHARS = 64 * 1024  # four times what a verifier reads
_LONGEST_LINE = 4095  # a terminal's: what is typed or pasted beyond is lost (termios, canonical mode)
_NO_TOKEN = "no token: name a file that holds it, or pipe it in and write -"  # noqa: S105 - says what to do

#: Stands for what was not given where settings need something; no token can say so.
NOT_GIVEN = "(not given)"


def read_token(said: str | None) -> str:
    """The token: from stdin or a prompt where ``said`` is ``-`` or None, else from that file, or ``said`` itself.

    Raises `ConfigurationError`, which never repeats what was read.
    """
    if said is None or said == "-":
        text = _prompt() if sys.stdin.isatty() else sys.stdin.read(_MAX_CHARS + 1)
    elif os.path.isfile(said):  # Path.is_file raises where the name is as long as a token
        text = _read(Path(said))
    else:
        text = said
        say(
            "warning: no file has that name, so it is taken as the token itself. It is in your shell's history now, and"
            " every user of this machine sees it in the process list: give a file, or - for stdin"
        )
    words = text.split()
    if len(words) > 1 and words[0].lower() == "bearer":
        del words[0]
    if not words or len(text) > _MAX_CHARS:
        raise ConfigurationError(_NO_TOKEN if not words else f"more than {_MAX_CHARS} characters are no token")
    return " ".join(words)


def _prompt() -> str:
    text = ask_secret("Token (not shown)", otherwise=_NO_TOKEN)
    if len(text) >= _LONGEST_LINE:
        raise ConfigurationError("terminals cut long lines off, so the token may be incomplete: put it into a file")
    return text


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.read(_MAX_CHARS + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"cannot read the token in {file}: {reason}") from None


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What ``check`` was told; what is empty was not said."""

    issuer_url: str | None = None
    audience: tuple[str, ...] = ()
    client_ids: tuple[str, ...] = ()
    provider: str | None = None
    discovery_url: str | None = None
    jwks_uri: str | None = None
    ca_file: str | None = None

    def settings(self, environ: Mapping[str, str]) -> Settings:
        """What a verifier would be made of. Without an issuer the environment fills in, as it does for an app.

        Raises `ConfigurationError`, with advice where there is some.
        """
        from oidcbridge.settings import resolve_for_diagnosis  # noqa: PLC0415 - brings the HTTP client

        try:
            return resolve_for_diagnosis(self._arguments(), environ)
        except ConfigurationError as error:
            advice = self._advice(environ)
            raise ConfigurationError(f"{error}\n  -> {advice}" if advice else str(error)) from None

    def _arguments(self) -> VerifierArguments:
        from oidcbridge.core.policy import FetchOptions  # noqa: PLC0415 - only once there is something to do

        said: dict[str, Any] = {name: value for name, value in vars(self).items() if value and name != "ca_file"}
        if self.ca_file is not None:
            said["fetch"] = FetchOptions(ca_file=self.ca_file)
        if self.issuer_url is not None:
            said |= self._whom_it_is_for() | self._what_it_needs()
        return cast("VerifierArguments", said)

    def _whom_it_is_for(self) -> dict[str, Any]:
        """A provider can be looked at before one knows what its tokens will say of this API."""
        from oidcbridge.profiles import profile_for  # noqa: PLC0415 - see above

        if self.audience:
            return {}
        if self.client_ids:
            return {"audience": None}
        needs_audience = profile_for(self.provider or "auto", self.issuer_url).rules.audience_required
        return {"audience": [NOT_GIVEN]} if needs_audience else {"client_ids": [NOT_GIVEN]}

    def _what_it_needs(self) -> dict[str, Any]:
        """Where nothing but ID tokens can be accepted, that is what is looked at."""
        from oidcbridge.profiles import profile_for  # noqa: PLC0415 - see above

        needs = profile_for(self.provider or "auto", self.issuer_url).id_tokens == "needed"
        return {"accept_id_tokens": True} if needs else {}

    def _advice(self, environ: Mapping[str, str]) -> str | None:
        from oidcbridge.diagnosis.advice_for_issuers import advise_client_ids  # noqa: PLC0415 - see above
        from oidcbridge.diagnosis.recognition import recognise_provider  # noqa: PLC0415 - see above

        url = self.issuer_url or environ.get("OIDCBRIDGE_ISSUER_URL", "").strip()
        clients = self.client_ids or environ.get("OIDCBRIDGE_CLIENT_IDS", "").strip()
        audience = self.audience or tuple(filter(None, environ.get("OIDCBRIDGE_AUDIENCE", "").strip().split(",")))
        if clients or "cognito" not in (self.provider, recognise_provider(url, {}).name):
            return None
        return advise_client_ids(audience).text
