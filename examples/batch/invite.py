"""Invite the people of a file, once a day from cron. A second run on the same day adds only the people who are new in the file.

0 9 * * *  cd /srv/invitations && python invite.py people.csv
"""

import sys
import uuid
from contextlib import suppress
from datetime import UTC, datetime

from gatepost import CampaignOptions, Producer, Row, SendingHours
from gatepost.errors import CampaignConflict
from gatepost_operations.files.rows import read_rows

DAY = datetime.now(UTC).date()
# The same id on the same day, so that two runs make one campaign.
CAMPAIGN = str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.com/invitations/{DAY}"))
INVALID_ROWS = 6


def main(path: str) -> int:
    """Return the exit code: 0, or 6 if rows of the file are invalid; these are left out."""
    options = CampaignOptions(hours=SendingHours.parse("08:00-20:00", "Europe/Berlin"), rate=50)
    invalid = 0
    with Producer() as producer, read_rows(path) as rows:
        campaigns = producer.campaigns
        campaigns.create(f"invitations {DAY}", options, campaign_id=CAMPAIGN)
        valid = []
        for row in rows:
            if isinstance(row, Row):
                valid.append(row)
            else:
                invalid += 1
        added = campaigns.add(CAMPAIGN, valid)
        # A campaign of an earlier run that has ended sends to the new people by itself.
        with suppress(CampaignConflict):
            campaigns.start(CAMPAIGN)
    print(f"{added.added} added, {added.duplicates} known, {invalid} invalid")
    return INVALID_ROWS if invalid else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
