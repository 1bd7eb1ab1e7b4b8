"""The probe's parts from its settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_settings import SettingsError

from gatepost_core.error_boundary import boundary
from gatepost_core.errors import ConfigurationError
from gatepost_core.identifiers import is_address
from gatepost_core.kinds import CAMPAIGN_KINDS, Channel
from gatepost_core.settings.probe import ProbeSettings
from gatepost_core.settings.secret_sources import configuration_error
from gatepost_operations.probing.code_command import CodeCommand
from gatepost_operations.probing.imap_mailbox import ImapAccess, ImapMailbox
from gatepost_operations.probing.run import Target

if TYPE_CHECKING:
    from gatepost_core.identifiers import Personal
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_core.settings import Settings
    from gatepost_operations.probing.code_source import CodeSource

# After the time that a worker waits for a renewed credential.
_REFUSAL_S: Final = 15.0
# To log in at the mailbox, to read messages, and for the token checks.
_MARGIN_S: Final = 60.0
_GUIDE: Final = "docs/how-to/probe-logins.md"


@boundary
def load_probe_settings(*, env_file: str | None = None, **given: Any) -> ProbeSettings:
    """Read the probe's settings. `load_settings` has refused unknown names.

    Args:
        env_file: a `.env` file to read too.
        given: settings by field name.

    Raises:
        ConfigurationError: a setting is malformed. The message names the setting, never its value.
    """
    try:
        return ProbeSettings(_env_file=env_file, **given)
    except ValidationError as failure:
        raise configuration_error(failure, "GATEPOST_") from None
    except (SettingsError, OSError, ValueError) as failure:
        raise ConfigurationError(f"the probe's settings cannot be read ({type(failure).__name__})") from None


def target_of(probe: ProbeSettings, settings: Settings, tenant: str | None) -> Target:
    """Return whom the probe sends to.

    Raises:
        ConfigurationError: no address is set, or the tenant is not configured.
    """
    address = _address(probe)
    channel = Channel.EMAIL if is_address(address.get_secret_value()) else Channel.SMS
    connection = probe.probe_connection or CAMPAIGN_KINDS[channel].connection
    return Target(address, channel, settings.tenant_name(tenant), connection)


def source_of(probe: ProbeSettings) -> CodeSource:
    """Return where the code comes from: the command if one is set, otherwise the mailbox.

    Raises:
        ConfigurationError: neither is set, both are, or the mailbox lacks a setting.
    """
    address, pattern = _address(probe), re.compile(probe.probe_code_pattern)
    if probe.probe_code_command is not None:
        if probe.probe_imap_host is not None:
            raise ConfigurationError("set GATEPOST_PROBE_IMAP_HOST or GATEPOST_PROBE_CODE_COMMAND, not both")
        return CodeCommand(probe.probe_code_command, pattern)
    if probe.probe_imap_host is None:
        raise ConfigurationError(
            f"GATEPOST_PROBE_IMAP_HOST is not set; set it, or GATEPOST_PROBE_CODE_COMMAND, as {_GUIDE} describes"
        )
    if not is_address(address.get_secret_value()):
        raise ConfigurationError(
            "GATEPOST_PROBE_ADDRESS is a phone number, and a mailbox gets no SMS; set GATEPOST_PROBE_CODE_COMMAND"
        )
    if probe.probe_imap_password is None:
        raise ConfigurationError(
            "GATEPOST_PROBE_IMAP_PASSWORD is not set; GATEPOST_PROBE_IMAP_PASSWORD_FILE names its file"
        )
    access = ImapAccess(
        host=probe.probe_imap_host,
        port=probe.probe_imap_port,
        user=probe.probe_imap_user or address,
        password=probe.probe_imap_password,
        folder=probe.probe_imap_folder,
        ca_bundle=probe.probe_imap_ca_bundle,
    )
    return ImapMailbox(access, address, pattern, probe.probe_used_messages)


def mailbox_of(probe: ProbeSettings, fingerprints: Fingerprints) -> str:
    """Return the fingerprint of the mailbox, or of the address whose messages a command reads."""
    owner = probe.probe_imap_user or _address(probe)
    return fingerprints.mailbox(probe.probe_imap_host or "", owner.get_secret_value(), probe.probe_imap_folder)


def deferred_s(settings: Settings) -> float:
    """Return the seconds to wait for an operation that a worker has deferred, such as until it has a renewed credential."""
    return settings.credential_patience + _REFUSAL_S


def longest_run_s(probe: ProbeSettings, settings: Settings) -> float:
    """Return the seconds that a run takes at most."""
    operation_s = probe.probe_operation_timeout + deferred_s(settings)
    return probe.probe_arrival_timeout + 2 * operation_s + _MARGIN_S


def _address(probe: ProbeSettings) -> Personal:
    if probe.probe_address is None:
        raise ConfigurationError(f"GATEPOST_PROBE_ADDRESS is not set; {_GUIDE} describes the probe")
    return probe.probe_address
