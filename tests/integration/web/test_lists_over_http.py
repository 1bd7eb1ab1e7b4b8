"""The suppression list, the audit log and the dead letters over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.web_api import CONSOLE_KEY

if TYPE_CHECKING:
    from support.web_api import Api

ANA = {"recipient": "ana@example.com"}


def test_the_suppression_list_is_kept(api: Api) -> None:
    """Addresses travel in bodies, never in URLs."""
    client = api.client(scopes=["suppressions"])
    added = client.post("/v1/suppressions", json={**ANA, "reason": "bounced"}).json()
    found = client.post("/v1/suppressions/find", json=ANA).json()
    count = client.get("/v1/suppressions").json()
    removed = [client.request("DELETE", "/v1/suppressions", json=ANA).json() for _ in range(2)]
    nonsense = {"json": {"recipient": "canary at example"}}
    wrong = [
        client.request(method, path, **nonsense)
        for method, path in (
            ("POST", "/v1/suppressions"),
            ("POST", "/v1/suppressions/find"),
            ("DELETE", "/v1/suppressions"),
        )
    ]

    assert added == {"new": True, "reason": "bounced", "expires_at": None}
    assert (found["suppressed"], found["reason"], count) == (True, "bounced", {"count": 1})
    assert removed == [{"removed": True}, {"removed": False}]
    assert [(one.status_code, one.json()["errors"][0]["pointer"]) for one in wrong] == [(422, "/recipient")] * 3
    assert "canary" not in "".join(one.text for one in wrong)


def test_the_audit_log_is_read_in_pages(api: Api) -> None:
    """The newest entry comes first."""
    console = api.client_with(CONSOLE_KEY)
    for _ in range(5):
        console.post("/v1/suppressions", json=ANA)
    first = console.get("/v1/audit", params={"limit": 3}).json()
    second = console.get("/v1/audit", params={"limit": 3, "before": first["next_before"]}).json()

    assert [one["number"] for one in first["entries"] + second["entries"]] == [4, 3, 2, 1, 0]
    assert (first["next_before"], second["next_before"]) == (2, None)


def test_dead_letters_are_listed_for_the_console(api: Api) -> None:
    """A letter that is not there cannot be replayed or dropped."""
    console = api.client_with(CONSOLE_KEY)

    assert console.get("/v1/dead-letters").json() == {"letters": []}
    assert [console.post(f"/v1/dead-letters/x/{verb}").status_code for verb in ("replay", "drop")] == [404, 404]
