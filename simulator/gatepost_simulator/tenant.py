"""The tenant: all state of the simulator, which a reset renews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_simulator.client_authentication import ClientAuthentication
from gatepost_simulator.clock import Clock
from gatepost_simulator.codes import BruteForceProtection, LiveCodes
from gatepost_simulator.faults import Faults
from gatepost_simulator.limits import RateLimits
from gatepost_simulator.mail_delivery import MailDelivery
from gatepost_simulator.observation import RequestLog, Statistics
from gatepost_simulator.outbox import Outbox
from gatepost_simulator.profiles import Profiles
from gatepost_simulator.tagged_recipients import TaggedRecipients
from gatepost_simulator.tokens import Grant, SigningKeys, TokenIssuer

if TYPE_CHECKING:
    from gatepost_simulator.settings import Client, Connection, SimulatorSettings


class Tenant:
    """The state behind both APIs.

    Args:
        settings: The tenant's settings.
        domain: Its domain, as clients call it (`localhost:4430`).
        scheme: `http` or `https`, for the links that the simulator hands out.
    """

    def __init__(self, settings: SimulatorSettings, domain: str, scheme: str = "http") -> None:
        self.clock = Clock()
        self.domain = settings.domain or domain
        self.base_url = f"{scheme}://{self.domain}"
        self.keys = SigningKeys()
        self.mail = MailDelivery()
        self._initial = settings
        self._registered: dict[str, Client] = {}
        self._renew(settings)

    def _renew(self, settings: SimulatorSettings) -> None:
        self.outbox = Outbox(settings.outbox_details)
        self.request_log = RequestLog(settings.request_log_size)
        self.statistics = Statistics()
        self.faults = Faults()
        self.profiles = Profiles()
        self.grants: dict[str, tuple[Grant, str, float]] = {}
        self._codes: dict[str, LiveCodes] = {}
        self._adopt(settings)
        self.limits = RateLimits(settings.quota, self.clock.now())

    def _adopt(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.points = settings.open_points
        self.connections: dict[str, Connection] = {each.name: each for each in settings.connections}
        self.clients = ClientAuthentication(settings, self.domain)
        for client in self._registered.values():
            self.clients.register(client)
        self.brute_force = BruteForceProtection(settings.brute_force)
        self.tagged = TaggedRecipients(settings.slow_s, settings.providers.timeout_s)
        self.issuer = TokenIssuer(self.domain, settings.access_token_lifetime_s, settings.id_token_lifetime_s)

    def change(self, settings: SimulatorSettings) -> None:
        """Use other settings; outbox, codes and users stay. Buckets start full if the quota changed."""
        quota_changed = settings.quota != self.settings.quota
        connections_changed = settings.connections != self.settings.connections
        tries_changed = settings.open_points.tries != self.points.tries
        self._adopt(settings)
        if quota_changed:
            self.limits = RateLimits(settings.quota, self.clock.now())
        if connections_changed or tries_changed:
            self._codes = {}

    def register_client(self, client: Client) -> None:
        """Add or replace a client; it survives a reset."""
        self.clients.register(client)
        self._registered[client.client_id] = client

    def reset(self) -> None:
        """Forget all events and changes of the settings; keys and registered clients stay."""
        self.clock.reset()
        self._renew(self._initial)

    def codes(self, connection: Connection) -> LiveCodes:
        """Return the live codes of a connection."""
        codes = self._codes.get(connection.name)
        if codes is None:
            across = self.points.tries == "across_resends"
            codes = self._codes[connection.name] = LiveCodes(connection, tries_across_resends=across)
        return codes

    def fold(self, identifier: str) -> str:
        """Return the stored form of an identifier: trimmed and lower-cased, or unchanged."""
        return identifier.strip().lower() if self.points.identifiers == "folded" else identifier
