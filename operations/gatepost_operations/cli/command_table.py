"""The table of commands for `gatepost --help`, with the module of each. A new command needs a module and a row here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gatepost_core.kinds import SHELL_COMMANDS

CAMPAIGNS: Final = "Campaigns"
OPERATIONS: Final = "Operations"
PROCESSES: Final = "Processes"
SETTING_UP: Final = "Setting up"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command or noun.

    Attributes:
        name: the name on the command line.
        where: `module:attribute` under `gatepost_operations`, a `typer.Typer`: with one command and no callback it is that command,
            otherwise a noun with verbs.
        summary: the first line of its help, repeated here so that the list needs no imports.
        panel: its heading in the list.
    """

    name: str
    where: str
    summary: str
    panel: str


TABLE: Final = (
    Entry(
        "campaign",
        "cli.campaign.command:app",
        "Send to the recipients in a file, and record the outcome of each.",
        CAMPAIGNS,
    ),
    Entry("suppression", "cli.suppression:app", "Manage the suppression list.", CAMPAIGNS),
    Entry("quota", "cli.quota:app", "Show the quota that workers have learned.", CAMPAIGNS),
    *(
        Entry(name, f"cli.{name.partition('-')[0]}:{name.replace('-', '_')}_app", summary, OPERATIONS)
        for name, summary in SHELL_COMMANDS.items()
    ),
    Entry("status", "cli.operation:status_app", "Show the current state of an operation.", OPERATIONS),
    Entry(
        "result",
        "cli.operation:result_app",
        "Wait for the result of an operation, or get the tokens of a login.",
        OPERATIONS,
    ),
    Entry("cancel", "cli.operation:cancel_app", "Cancel a send or login that waits in a queue.", OPERATIONS),
    Entry(
        "dead-letters",
        "cli.dead_letters:app",
        "Show, replay and delete queue messages that no worker could accept.",
        OPERATIONS,
    ),
    Entry("probe", "cli.probe:app", "Send a code to the team's own mailbox, and log in with it.", OPERATIONS),
    Entry("webhooks", "cli.webhooks:app", "Send events to other systems, such as the end of a campaign.", OPERATIONS),
    Entry("worker", "cli.worker:app", "Run a worker in this terminal.", PROCESSES),
    Entry("web", "cli.web:app", "Serve the HTTP API and the console.", PROCESSES),
    Entry(
        "metrics", "cli.metrics:app", "Serve the metrics of queues, operations and campaigns to Prometheus.", PROCESSES
    ),
    Entry("health", "cli.health:app", "Ask a worker whether it makes progress.", PROCESSES),
    Entry("simulator", "cli.simulator:app", "Run the simulator of Auth0's Authentication API.", PROCESSES),
    Entry("dev", "local.dev:app", "Run Valkey, the simulator and workers in one terminal.", PROCESSES),
    Entry("demo", "local.demo.command:app", "Show sends, logins and a campaign with the simulator.", PROCESSES),
    Entry(
        "console-users", "cli.console_users:app", "Manage the local accounts that sign in to the console.", SETTING_UP
    ),
    Entry("doctor", "cli.doctor.command:app", "Check the configuration, Redis, the workers and Auth0.", SETTING_UP),
    Entry(
        "tenants", "cli.tenants:app", "Show the Auth0 application of each tenant, or accept a changed one.", SETTING_UP
    ),
    Entry("api-keys", "cli.api_keys:app", "Manage the keys of the HTTP API.", SETTING_UP),
    Entry("keys", "cli.keys:app", "Create and rotate the keys that encrypt stored values.", SETTING_UP),
    Entry("recover", "cli.recover:app", "Make a restored backup safe before workers start.", SETTING_UP),
    Entry("erase", "cli.erase:app", "Erase a person from all stored data.", SETTING_UP),
    Entry("audit", "cli.audit:app", "Show and verify the audit log.", SETTING_UP),
)
