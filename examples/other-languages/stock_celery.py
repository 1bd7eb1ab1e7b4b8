"""Send an e-mail with Celery alone (pip install 'celery[redis]'), and print the operation's id."""

import os
import sys

from celery import Celery

redis = os.environ["GATEPOST_REDIS_URL"]
app = Celery(broker=redis, backend=redis)
command = {"kind": "send_email", "email": sys.argv[1]}
print(app.send_task("gatepost.submit", args=[command], queue="gatepost.send").get(timeout=30)["operation_id"])
