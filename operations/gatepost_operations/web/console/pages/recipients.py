"""The recipients of a campaign by state and reason, and actions on everything that matches."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response, StreamingResponse

from gatepost_core.campaigns.model import Campaign
from gatepost_core.reasons import Reason
from gatepost_core.states import RETRYABLE, State
from gatepost_operations.planning.retry import selection_of
from gatepost_operations.web.console.context import ConsoleOf
from gatepost_operations.web.console.pages.campaign import CampaignId, CampaignOf
from gatepost_operations.web.console.pages.campaign_actions import act, back
from gatepost_operations.web.console.recipient_reader import Filter, matching_count
from gatepost_operations.web.console.rendering import render
from gatepost_operations.web.console.security.operators import Level, require

router: Final = APIRouter(prefix="/campaigns/{campaign_id}", dependencies=[require(Level.READ_ONLY)])
_OPERATOR: Final = [require(Level.OPERATOR)]
_PAGE: Final = 50
_MOST_ROWS: Final = 1 << 31


def _filter(state: State | Literal[""] = "", reason: Reason | Literal[""] = "") -> Filter:
    return Filter(state or None, reason or None)


def _form_filter(
    state: Annotated[State | Literal[""], Form()] = "", reason: Annotated[Reason | Literal[""], Form()] = ""
) -> Filter:
    return _filter(state, reason)


FilterOf = Annotated[Filter, Depends(_filter)]
FormFilter = Annotated[Filter, Depends(_form_filter)]


@router.get("/recipients")
def list_recipients(
    request: Request,
    console: ConsoleOf,
    campaign: CampaignOf,
    wanted: FilterOf,
    first: Annotated[int, Query(ge=0, le=_MOST_ROWS)] = 0,
) -> Response:
    """Show recipients without their addresses."""
    part = console.recipients.part(campaign.campaign_id, campaign.batches, wanted, first=first, most=_PAGE)
    return render(
        request,
        "campaigns/recipients.html.j2",
        campaign=campaign,
        wanted=wanted,
        part=part,
        first=first,
        count=matching_count(campaign, wanted),
        states=[state for state in State if campaign.counts[state]],
        reasons=sorted({reason for _, reason in campaign.reasons}),
        retryable=sum(one["number"] for one in _choices(campaign, wanted)),
    )


@router.get("/retry", dependencies=_OPERATOR)
def show_retry(request: Request, campaign: CampaignOf, wanted: FilterOf) -> Response:
    """Show which recipients can be queued again, by reason. Those that `selection_of` gives for the filter are chosen."""
    return render(request, "campaigns/retry.html.j2", campaign=campaign, choices=_choices(campaign, wanted), dry=None)


@router.post("/retry", dependencies=_OPERATOR)
async def retry(
    request: Request,
    console: ConsoleOf,
    campaign: CampaignOf,
    *,
    choice: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    counted: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    confirmed: Annotated[int, Form(ge=0)] = 0,
) -> Response:
    """Count the chosen recipients; with this number confirmed for the counted choice, queue them again."""
    chosen = _chosen(choice)
    choices = _choices(campaign, Filter(), chosen)
    matched = await _retry(request, console, campaign.campaign_id, chosen, dry_run=True)
    if not matched or matched != confirmed or (counted and _chosen(counted) != chosen):
        dry = {
            "matched": matched,
            "changed": confirmed and ("choice" if matched == confirmed else "number"),
            "unknown": any(state is State.UNKNOWN for state, _ in chosen),
        }
        return render(request, "campaigns/retry.html.j2", campaign=campaign, choices=choices, dry=dry)
    await _retry(request, console, campaign.campaign_id, chosen, dry_run=False)
    return back(campaign.campaign_id, "retry")


async def _retry(
    request: Request, console: ConsoleOf, campaign_id: str, chosen: set[tuple[State, Reason]], *, dry_run: bool
) -> int:
    matched = 0
    # One call a state: states and reasons of one call are combined freely.
    for state in sorted({state for state, _ in chosen}):
        reasons = sorted(reason for one, reason in chosen if one is state)
        values = {"states": [state], "reasons": reasons, "dry_run": dry_run}
        matched += int((await act(request, console, campaign_id, "retry", values))["matched"])
    return matched


def _choices(
    campaign: Campaign, wanted: Filter, chosen: set[tuple[State, Reason]] | None = None
) -> list[dict[str, Any]]:
    """Return the recipients that can be retried, by state and reason."""
    default = selection_of({wanted.state} if wanted.state else None, {wanted.reason} if wanted.reason else None)
    rows = sorted(campaign.reasons.items(), key=lambda item: -item[1])
    return [
        {
            "state": state,
            "reason": reason,
            "number": number,
            "chosen": default.has(state, reason) if chosen is None else (state, reason) in chosen,
        }
        for (state, reason), number in rows
        if state in RETRYABLE and wanted.state in {None, state} and wanted.reason in {None, reason}
    ]


def _chosen(choices: list[str]) -> set[tuple[State, Reason]]:
    pairs = (choice.partition(":") for choice in choices)
    return {
        (State(state), Reason(reason)) for state, _, reason in pairs if state in set(State) and reason in set(Reason)
    }


@router.get("/suppress", dependencies=_OPERATOR)
def ask_to_suppress(request: Request, campaign: CampaignOf, wanted: FilterOf) -> Response:
    """Ask before everything that matches is added to the suppression list."""
    return _ask(request, campaign, wanted, "suppress")


@router.post("/suppress", dependencies=_OPERATOR)
async def suppress(
    request: Request, console: ConsoleOf, campaign: CampaignOf, wanted: FormFilter, *, confirmed: Annotated[int, Form()]
) -> Response:
    """Add everything that matches to the suppression list, if its number is still the confirmed one."""
    if not _is_confirmed(campaign, wanted, confirmed):
        return _ask(request, campaign, wanted, "suppress", changed=True)
    await act(request, console, campaign.campaign_id, "suppress", _lists(wanted))
    return back(campaign.campaign_id, "suppress")


@router.get("/export", dependencies=_OPERATOR)
def ask_to_export(request: Request, campaign: CampaignOf, wanted: FilterOf) -> Response:
    """Ask before the addresses of everything that matches are written to a file."""
    return _ask(request, campaign, wanted, "export")


@router.post("/export", dependencies=_OPERATOR)
async def export(
    request: Request,
    console: ConsoleOf,
    campaign: CampaignOf,
    wanted: FormFilter,
    *,
    confirmed: Annotated[int, Form()],
    form: Annotated[str, Form(pattern="^(csv|ndjson)$")] = "csv",
) -> Response:
    """Stream the file from the API to the browser. The console keeps nothing of it."""
    if not _is_confirmed(campaign, wanted, confirmed):
        return _ask(request, campaign, wanted, "export", changed=True)
    lines = await console.api_of(request).stream(
        f"/v1/campaigns/{campaign.campaign_id}/export", params={**wanted.query, "format": form}
    )
    kind = "text/csv" if form == "csv" else "application/x-ndjson"
    headers = {"Content-Disposition": f'attachment; filename="{campaign.campaign_id[:8]}.{form}"'}
    return StreamingResponse(lines, media_type=kind, headers=headers)


@router.post("/recipients/{number}/reveal", dependencies=_OPERATOR)
async def reveal(request: Request, console: ConsoleOf, campaign_id: CampaignId, number: int) -> Response:
    """Show one address. The API records it in the audit log."""
    params = {"cursor": str(number), "limit": "1", "reveal": "true"}
    answer = await console.api_of(request).call("GET", f"/v1/campaigns/{campaign_id}/recipients", params=params)
    # Without this recipient, the API gives the next one.
    addresses = [one["recipient"] for one in answer["recipients"] if one["number"] == number]
    return render(request, "campaigns/_address.html.j2", address=addresses[0] if addresses else None)


def _ask(request: Request, campaign: Campaign, wanted: Filter, action: str, *, changed: bool = False) -> Response:
    count, template = matching_count(campaign, wanted), f"campaigns/{action}.html.j2"
    return render(request, template, campaign=campaign, wanted=wanted, count=count, changed=changed)


def _is_confirmed(campaign: Campaign, wanted: Filter, confirmed: int) -> bool:
    return confirmed > 0 and matching_count(campaign, wanted) == confirmed


def _lists(wanted: Filter) -> dict[str, list[str]]:
    return {f"{name}s": [value] for name, value in wanted.query.items()}
