"""What holds where nobody says otherwise."""

from __future__ import annotations

BASE_URL = "https://api2.nxcloud.com"
#: Zone of the API's dates and wall-clock times: the API's own example interval is a month in UTC+8.
TIMEZONE = "Asia/Shanghai"
#: Seconds to connect, and between two bytes of an answer.
TIMEOUT = 30.0
#: Requests under way at once.
MAX_CONCURRENCY = 8
