"""A provider under examination: discovery and keys, asked as a verifier asks, and everything that may be wrong there.

Each document is fetched once, by the one door (`oidcbridge.remote.http`) with a verifier's own options, and read by the
library's own parsers. Unlike a verifier this goes on after a fault, as far as there is something to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from oidcbridge.core.keys import KeySet, parse_key_set
from oidcbridge.core.metadata import IssuerMetadata, parse_metadata, well_known_urls
from oidcbridge.core.policy import Clock, FetchOptions
from oidcbridge.core.strict_json import StrictJSONError, parse_json_object
from oidcbridge.core.urls import check_url, origin_of
from oidcbridge.diagnosis.advice_for_issuers import advise_fetch, advise_issuer, advise_other_name
from oidcbridge.diagnosis.findings import Finding, ProviderFindings, Status, TLSFinding
from oidcbridge.diagnosis.keys import judge_keys, list_keys
from oidcbridge.diagnosis.transport import judge_cache, judge_clock, judge_tls, read_certificate
from oidcbridge.diagnosis.words import Advice, shown
from oidcbridge.errors import ConfigurationError, DiscoveryError, KeysUnavailableError
from oidcbridge.profiles import recognise_by_endpoints
from oidcbridge.remote.fetch_error import FetchError
from oidcbridge.remote.http import Answer, fetch
from oidcbridge.settings import IssuerSettings, misfits

_NOBODY = frozenset({"dns", "refused", "timeout", "reset", "connection", "protocol"})


class Examined(NamedTuple):
    """What was found, the keys (None where they cannot be had) and the settings to judge a token by."""

    provider: ProviderFindings
    key_set: KeySet | None
    issuer: IssuerSettings


async def examine_provider(issuer: IssuerSettings, options: FetchOptions, clock: Clock) -> Examined:
    """Ask the provider for its documents and judge them. Never raises for what the provider does."""
    examination = _Examination(issuer, options, clock)
    if issuer.keys is not None:
        examination.note("provider", Status.PASSED, "nobody is asked: the keys are given in the settings")
        return examination.end(issuer.keys)
    examination.recognise()
    jwks_uri = issuer.jwks_uri
    if jwks_uri is None:
        jwks_uri = await examination.discover()
    else:
        examination.note("discovery", Status.NOT_JUDGED, "not asked: jwks_uri says where the keys are")
    return examination.end(None if jwks_uri is None else await examination.fetch_keys(jwks_uri))


class _Examination:
    def __init__(self, issuer: IssuerSettings, options: FetchOptions, clock: Clock) -> None:
        self._issuer = issuer
        self._options = options
        self._clock = clock
        self._findings: list[Finding] = []
        self._metadata: IssuerMetadata | None = None
        self._origins: set[str] = set()
        self._tls: list[TLSFinding] = []
        self._unreachable = False

    def note(self, check: str, status: Status, said: str) -> None:
        self._findings.append(Finding(check, status, said))

    def end(self, key_set: KeySet | None) -> Examined:
        policy, endpoints = self._issuer.policy, {}
        if self._issuer.with_profile is not None:
            unknown = "not told by its issuer URL, and its discovery document could not be read: write provider="
            self._findings.insert(0, Finding("provider", Status.NOT_JUDGED, unknown))
        self._findings += judge_settings(self._issuer)
        if key_set is not None:
            self._findings.append(judge_keys(key_set, policy))
        if self._metadata is not None:
            endpoints = {
                name: shown(url)
                for name, url in self._metadata.document.items()
                if name.endswith(("_endpoint", "_uri")) and isinstance(url, str)
            }
        issuer = self._metadata.issuer if self._metadata else None
        keys = list_keys(key_set, policy) if key_set else ()
        found = ProviderFindings(
            tuple(self._findings), issuer, endpoints, keys, tuple(self._tls), unreachable=self._unreachable
        )
        return Examined(found, key_set, self._issuer)

    def recognise(self, document: Mapping[str, Any] | None = None) -> None:
        """Name the profile and why; where its issuer URL does not tell, once there is a ``document``."""
        with_profile = self._issuer.with_profile
        if with_profile is not None:
            if document is None:
                return
            self._issuer = with_profile(recognise_by_endpoints(document))
        elif document is not None:
            return
        advice = advise_issuer(self._issuer.issuer_url or "")
        said = f"{self._issuer.profile.name}, {self._issuer.why}"
        self._findings.insert(0, Finding("provider", Status.FAILED if advice else Status.PASSED, said, advice=advice))

    async def discover(self) -> str | None:
        """Where the keys are, by the discovery document."""
        url = self._issuer.issuer_url or ""
        urls = (self._issuer.discovery_url,) if self._issuer.discovery_url else well_known_urls(url)
        answer = await self._ask("discovery", urls)
        if answer is None:
            return None
        try:
            named = self._issuer.document_issuer
            self._metadata = parse_metadata(answer.body, named or url)
            said = f"{shown(named)}, which stands for each tenant" if named else f"{shown(url)}, as issuer_url does"
            self.note("issuer", Status.PASSED, f"the document names {said}")
        except DiscoveryError as error:
            self._metadata = self._look_at_another(answer.body, url, error)
        if self._metadata is None:
            return None
        self.recognise(self._metadata.document)
        return self._jwks_uri(self._metadata)

    def _look_at_another(self, body: bytes, url: str, error: DiscoveryError) -> IssuerMetadata | None:
        """A document that a verifier refuses: another issuer's, or none at all."""
        try:
            said = parse_json_object(body).get("issuer")
        except StrictJSONError:
            self._findings.append(Finding("discovery", Status.FAILED, str(error), error.code))
            return None
        self._findings.append(Finding("issuer", Status.FAILED, str(error), error.code, advise_other_name(said, url)))
        return parse_metadata(body, said) if isinstance(said, str) else None

    def _jwks_uri(self, metadata: IssuerMetadata) -> str | None:
        if metadata.jwks_uri is None:
            self.note("endpoints", Status.FAILED, "the discovery document has no 'jwks_uri'")
            return None
        try:
            check_url(
                metadata.jwks_uri,
                name="the discovery document's jwks_uri",
                allow_http=self._options.insecure_allow_http,
            )
        except ConfigurationError as error:
            self.note("endpoints", Status.FAILED, str(error))
            return None
        self.note("endpoints", Status.PASSED, f"keys at {shown(metadata.jwks_uri)}")
        return metadata.jwks_uri

    async def fetch_keys(self, jwks_uri: str) -> KeySet | None:
        answer = await self._ask("jwks", (jwks_uri,))
        if answer is None:
            return None
        self._findings += [
            judge_cache(answer, self._options),
            judge_clock(answer, self._clock.time(), self._issuer.policy.leeway),
        ]
        try:
            return parse_key_set(answer.body)
        except KeysUnavailableError as error:
            self._findings.append(Finding("keys", Status.FAILED, str(error), error.code))
            return None

    async def _ask(self, check: str, urls: Sequence[str]) -> Answer | None:
        """The first good answer; the next URL is for where nothing is found at the one before."""
        errors: list[tuple[FetchError, str]] = []
        for url in urls:
            begun = self._clock.monotonic()
            try:
                answer = await fetch(url, self._options)
            except FetchError as error:
                errors.append((error, url))
                if error.status != 404:
                    break
            else:
                self.note(check, Status.PASSED, f"{shown(url)} answered in {self._clock.monotonic() - begun:.2f} s")
                self._look_at_transport(url, answer)
                return answer
        # Where nothing is found anywhere, the first place is the one that people know.
        failed, url = errors[0] if all(one.status == 404 for one, _ in errors) else errors[-1]
        self._unreachable = self._unreachable or _says_nothing(failed)
        self._findings.append(Finding(check, Status.FAILED, str(failed), failed.code, advise_fetch(failed, url)))
        return None

    def _look_at_transport(self, url: str, answer: Answer) -> None:
        """How it was secured, once for each origin."""
        origin = origin_of(url) or ""
        if origin in self._origins:
            return
        self._origins.add(origin)
        tls = None if answer.tls is None else read_certificate(url, answer.tls, self._options)
        self._tls += [] if tls is None else [tls]
        self._findings.append(judge_tls(url, self._options, tls))


def judge_settings(issuer: IssuerSettings) -> list[Finding]:
    """Settings with which an app does not even start, since no token of this provider could pass."""
    return [
        Finding("settings", Status.FAILED, f"{argument}={value!a}", advice=Advice(f"unfit_{argument}", message))
        for argument, value, message in misfits(issuer)
        if argument != "issuer_url" or advise_issuer(value) is None  # or the provider itself has failed for it
    ]


def _says_nothing(error: FetchError) -> bool:
    """Whether the provider could not be asked: nobody there, or nobody who can answer now."""
    return error.kind in _NOBODY or error.status == 429 or (error.status or 0) >= 500
