"""The SMS provider behind the tenant: what Auth0 answers when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_simulator.exchange import Refusal

if TYPE_CHECKING:
    from gatepost_simulator.settings import Providers

# https://www.twilio.com/docs/api/errors
_TWILIO = {
    "21211": "The 'To' number is not a valid phone number.",
    "21408": "Permission to send an SMS has not been enabled for the region indicated by the 'To' number.",
    "21610": "Attempt to send to unsubscribed recipient",
    "21612": "The 'To' phone number is not currently reachable via SMS",
    "21614": "'To' number is not a valid mobile number",
    "30007": "Message filtered",
}
_UNAUTHORIZED = "401"


def call_sms_provider(providers: Providers) -> Refusal | None:
    """Give the refusal that the provider's fault leads to, or None if the provider works."""
    fault = providers.sms_fault
    if not fault:
        return None
    if fault == "timeout":
        return _failure("Timeout while calling the SMS gateway: ESOCKETTIMEDOUT", providers.timeout_s)
    kind, _, status = fault.partition(":")
    if kind != "status":
        return _failure(f"{_TWILIO.get(fault, 'The provider refused the message')} (Code: {fault})")
    if status == _UNAUTHORIZED:
        return _failure("Authentication failed while calling the SMS gateway: 401")
    return _failure(f"Unexpected response while calling the SMS gateway: {status}")


def _failure(description: str, delay_s: float = 0.0) -> Refusal:
    return Refusal(400, "sms_provider_error", description, delay_s=delay_s)
