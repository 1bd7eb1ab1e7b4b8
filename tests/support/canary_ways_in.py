"""The part of the canary journey that goes over HTTP: `gatepost web` in both roles, with all traffic between them and Redis."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import httpx

from gatepost_core.audit_log import AuditLog
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.kinds import Kind
from gatepost_operations.maintenance.api_keys import ApiKeys, Scope, grant_of
from gatepost_operations.web.console.security.operators import Level
from support.canary_values import CODE, CONSOLE_KEY, NAME, PHONE, REDIS_PASSWORD, REVEALED, TOKEN, TYPED
from support.console_accounts import NAMES, PASSWORD, SignedInConsole, token_in, write_accounts
from support.keys import KEYS
from support.recording_relay import RecordingRelay
from support.wrong_requests import wrong_requests

if TYPE_CHECKING:
    from support.stack import Program, Stack

EMAIL: Final = f"{NAME}@example.com"
_ROWS: Final = f"email\n{NAME}+http@example.com\n{NAME}+bad-email@example.com\n"
_FILE: Final = (
    f"email\n{REVEALED}@example.com\n{TYPED}@example.com\n{TYPED}+bad-email@example.com\n{TYPED} at example.com\n"
)
_CSV: Final = {"Content-Type": "text/csv"}
_PAGES: Final = (
    "campaigns", "campaigns?find=console", "campaigns/new", "operations", "dead-letters", "dead-letters/replay", "dead-letters/drop",
    "workers", "workers/answers", "quota", "suppression", "audit", "audit?action=campaign&who=ada",
)  # fmt: skip
_OF_CAMPAIGN: Final = (
    "",
    "/recipients",
    "/recipients?state=rejected",
    "/retry",
    "/suppress",
    "/export",
    "/plan",
    "/test",
)


@dataclass
class WaysIn:
    """The planted secrets of this part, and the texts in which they are looked for.

    Attributes:
        secrets: codes, tokens, keys, passwords and people.
        surfaces: all text of a place, by the place's name.
        meant: the secrets that a place shows on purpose.
    """

    secrets: list[str] = field(default_factory=lambda: [TYPED, REVEALED, CODE, TOKEN, CONSOLE_KEY, PASSWORD])
    surfaces: dict[str, str] = field(default_factory=dict)
    meant: dict[str, set[str]] = field(
        default_factory=lambda: {
            "console to api": {TYPED, REVEALED, CONSOLE_KEY},
            "api to console": {REVEALED},
            "console to redis": {REDIS_PASSWORD},
            "console pages": {REVEALED},
        }
    )


class Answers:
    """An HTTP client that keeps every answer, apart from its cookies."""

    def __init__(self, client: httpx.Client) -> None:
        self._kept: list[str] = []
        self.client = client
        client.event_hooks = {"response": [self._keep]}

    def _keep(self, answer: httpx.Response) -> None:
        answer.read()
        headers = [pair for pair in answer.headers.items() if pair[0] != "set-cookie"]
        self._kept.append(f"{answer.request.method} {answer.status_code} {headers} {answer.text}")

    def taken(self) -> str:
        """Return the newest answer, and do not keep it: it is for the caller alone."""
        return self._kept.pop()

    def text(self) -> str:
        return "\n".join(self._kept)


class Roles:
    """`gatepost web` in both roles, each in a process. The console reaches Redis and the api through relays that record it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._accounts = write_accounts(stack.directory / "console-users")
        self._redis = RecordingRelay(stack.valkey.port)

    def __enter__(self) -> Self:
        self._redis.__enter__()
        self._api = self._start("api", GATEPOST_WEB_API_KEY=CONSOLE_KEY)
        self.api_url = self._url(self._api)
        self._relay = RecordingRelay(int(self.api_url.rpartition(":")[2])).__enter__()
        self._console = self._start(
            "console",
            GATEPOST_WEB_API_KEY=CONSOLE_KEY,
            GATEPOST_WEB_API_URL=f"http://127.0.0.1:{self._relay.port}",
            GATEPOST_REDIS_URL=self._stack.environment["GATEPOST_REDIS_URL"].replace(
                f":{self._stack.valkey.port}/", f":{self._redis.port}/"
            ),
            GATEPOST_CONSOLE_USERS=str(self._accounts),
        )
        self.console = SignedInConsole(self._url(self._console), self._accounts)
        return self

    def __exit__(self, *_: object) -> None:
        self.console.close()
        for program in (self._console, self._api):
            program.terminate()
            program.wait()
        self._relay.__exit__()
        self._redis.__exit__()

    def traffic(self) -> dict[str, str]:
        """Return both directions of the console's connections."""
        return {
            "console to api": self._relay.sent(),
            "api to console": self._relay.answered(),
            "console to redis": self._redis.sent(),
            "redis to console": self._redis.answered(),
        }

    def _start(self, role: str, **environment: str) -> Program:
        command = ("-m", "gatepost_operations.cli", "web", "--role", role, "--port", "0")
        return self._stack.start(role, *command, **environment)

    def _url(self, program: Program) -> str:
        self._stack.until(lambda: "http://" in program.output(), f"{program.name} serves", program)
        return next(line.split()[1] for line in program.output().splitlines() if line.startswith(program.name))


def travel_ways_in(stack: Stack) -> WaysIn:
    """Send, log in and run a campaign over HTTP, ask in every wrong way, and run a campaign in the console."""
    ways = WaysIn()
    key = _new_key(stack, ways)
    with Roles(stack) as roles:
        bearer = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=roles.api_url, headers=bearer, timeout=120) as client:
            http = Answers(client)
            operation = _send_and_log_in(stack, http, ways)
            campaign = _run_campaign(stack, http)
            for wrong in wrong_requests(campaign):
                client.request(**wrong)
        pages = Answers(roles.console.browser())
        _sign_in(roles.console, pages, ways)
        _run_campaign_in_console(stack, pages.client)
        _look_around(stack, pages.client, operation, campaign)
    ways.surfaces = {"http answers": http.text(), "console pages": pages.text(), **roles.traffic()}
    return ways


def _new_key(stack: Stack, ways: WaysIn) -> str:
    marks = stack.settings.fingerprints()
    rights = {"kinds": list(Kind), "scopes": [scope for scope in Scope if scope is not Scope.CONSOLE]}
    limits = {"per_hour": None, "per_country": None, "per_recipient": None}
    with stack.redis() as client:
        keys = ApiKeys(client, KEYS, marks, AuditLog(client, KEYS, marks))
        key = keys.create(grant_of({"name": "shop", **rights, **limits}))[1].get_secret_value()
    ways.secrets.append(key.split("_", 2)[2])
    return key


def _send_and_log_in(stack: Stack, http: Answers, ways: WaysIn) -> str:
    """Go the good way, give a wrong code and a wrong redeem token, and return the id of the login."""
    post = http.client.post
    for body in ({"email": EMAIL, "auth_params": {"state": f"{NAME}-state"}}, {"phone_number": PHONE}):
        _ended(http, post("/v1/messages", json=body, headers={"Idempotency-Key": f"{NAME}-{next(iter(body))}"}))
    code = stack.simulator.control.latest_code(EMAIL)
    wrong_code = code[::-1] + "7"
    wrong = post("/v1/logins", json={"email": EMAIL, "code": wrong_code})
    http.taken()
    _ended(http, wrong)
    login = post("/v1/logins", json={"email": EMAIL, "code": code, "scope": "openid offline_access"})
    http.taken()
    _ended(http, login)
    where = f"{login.headers['location']}/redeem"
    post(where, json={"redeem_token": "A" * 43})
    tokens = post(where, json={"redeem_token": login.json()["redeem_token"]}).json()
    http.taken()
    post(where, json={"redeem_token": login.json()["redeem_token"]})
    ways.secrets += [code, wrong_code, login.json()["redeem_token"], wrong.json()["redeem_token"]]
    ways.secrets += [tokens["access_token"], tokens["id_token"], tokens["refresh_token"]]
    return str(login.json()["operation_id"])


def _ended(http: Answers, accepted: httpx.Response) -> None:
    http.client.get(accepted.headers["location"], headers={"Prefer": "wait=60"})


def _run_campaign(stack: Stack, http: Answers) -> str:
    """Run a campaign, and put a person on the suppression list and take it off; return the campaign's path."""
    post = http.client.post
    guests = {"guest_list": [f"{NAME}+bad-email@example.com"], "auth_params": {"state": f"{NAME}-state"}}
    campaign = post("/v1/campaigns", json={"name": "over HTTP", **guests}).headers["location"]
    post("/v1/recipient-files/check", content=_ROWS, headers=_CSV)
    post(f"{campaign}/recipients", content=_ROWS, headers=_CSV)
    post(f"{campaign}/test", json={"to": [f"{NAME}+tester@example.com"]})
    post(f"{campaign}/start", json={})
    _finished(stack, campaign)
    for path in ("", "/plan", "/recipients"):
        http.client.get(f"{campaign}{path}")
    person = {"recipient": f"{NAME}+suppressed@example.com"}
    post("/v1/suppressions", json=person)
    post("/v1/suppressions/find", json=person)
    http.client.request("DELETE", "/v1/suppressions", json=person)
    return str(campaign)


def _finished(stack: Stack, campaign: str) -> None:
    key = KEYS.campaign(campaign.rpartition("/")[2])
    with stack.redis() as client:
        stack.until(lambda: client.hget(key, "status") == b"finished", "the campaign is finished")


def _sign_in(console: SignedInConsole, pages: Answers, ways: WaysIn) -> None:
    """Fail once, with a password in place of the name, and sign in."""
    console.try_password(pages.client, f"{TYPED} password", f"{TYPED} password")
    console.try_password(pages.client, NAMES[Level.ADMIN])
    (session,) = [cookie.value for cookie in pages.client.cookies.jar if "session" in cookie.name]
    ways.secrets.append(str(session))
    pages.client.headers["X-CSRF-Token"] = token_in(pages.client.get("/campaigns").text)


def _run_campaign_in_console(stack: Stack, browser: httpx.Client) -> None:
    """Upload a file, look at the report, create, test, start, and reveal one address."""
    form = {"name": "in the console", "channel": "email", "request_id": str(uuid.uuid4()), "skip_invalid": "true"}
    browser.post("/campaigns/check", params=form, content=_FILE, headers=_CSV)
    created = browser.post("/campaigns/create", params=form, content=_FILE, headers=_CSV)
    campaign = created.headers["hx-redirect"].partition("?")[0]
    browser.post(f"{campaign}/test", data={"to": f"{TYPED}+tester@example.com"})
    browser.post(f"{campaign}/test", data={"to": f"{TYPED} at example.com"})
    browser.post(f"{campaign}/start")
    _finished(stack, campaign)
    browser.post(f"{campaign}/recipients/0/reveal")
    for path in _OF_CAMPAIGN:
        browser.get(f"{campaign}{path}")


def _look_around(stack: Stack, browser: httpx.Client, operation: str, campaign: str) -> None:
    """Open every page, with the work of others, and search."""
    with stack.redis() as client:
        letters = DeadLetters(client, KEYS, stack.settings.keyring())
        letter = letters.add({"raw": EMAIL}, reason="the envelope is not JSON", queue="gatepost.send")
    for path in (*_PAGES, f"operations/{operation}", f"operations?id={NAME}", f"dead-letters/{letter}"):
        browser.get(f"/{path}")
    for path in _OF_CAMPAIGN:
        browser.get(f"{campaign.removeprefix('/v1')}{path}")
    browser.post(f"/dead-letters/{letter}/replay")
    for action in ("add", "find", "remove"):
        browser.post(f"/suppression/{action}", data={"recipient": f"{TYPED}+suppressed@example.com"})
    browser.post("/suppression/add", data={"recipient": f"{TYPED} at example.com"})
    browser.post("/sign-out")
