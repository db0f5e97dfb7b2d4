"""What operators see: structured logs and metric names."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Final

from prometheus_client import Counter, Gauge
from typing_extensions import override

from core.clock import Clock

_NEWEST: Final = "mostrecent"
"""Of several processes that set a gauge, the last one is right."""

CERTIFICATES_ISSUED: Final = Counter(
    "yinxin_certificates_issued", "Certificates issued.", ["issuer", "profile"]
)
CERTIFICATES_FAILED: Final = Counter(
    "yinxin_certificates_failed", "Attempts that burned a serial.", ["issuer", "profile"]
)
CERTIFICATES_REVOKED: Final = Counter(
    "yinxin_certificates_revoked", "Revocations and holds.", ["issuer", "reason"]
)
CRL_NUMBER: Final = Gauge(
    "yinxin_crl_number", "Number of the newest CRL.", ["issuer"], multiprocess_mode=_NEWEST
)
CRL_NEXT_UPDATE: Final = Gauge(
    "yinxin_crl_next_update_timestamp_seconds",
    "nextUpdate of the newest CRL.",
    ["issuer"],
    multiprocess_mode=_NEWEST,
)
NOTICES_SENT: Final = Counter(
    "yinxin_notices", "Expiry notices by channel and result.", ["channel", "result"]
)
PUBLICATION_LAG: Final = Gauge(
    "yinxin_publication_waiting",
    "Certificates that publishing has not looked at.",
    multiprocess_mode=_NEWEST,
)
PUBLICATION_FAULTS: Final = Gauge(
    "yinxin_publication_faults",
    "Certificates that the directory did not take.",
    multiprocess_mode=_NEWEST,
)
MIRROR_WRITTEN: Final = Counter(
    "yinxin_mirror_written", "CRLs and CA certificates put on a shelf.", ["shelf"]
)
MIRROR_FAULTS: Final = Gauge(
    "yinxin_mirror_faults",
    "Objects that a shelf does not have as they should be.",
    ["shelf"],
    multiprocess_mode=_NEWEST,
)
LOGINS: Final = Counter("yinxin_logins", "Login attempts.", ["method", "result"])
TOKENS_ISSUED: Final = Counter("yinxin_tokens_issued", "Tokens issued.", ["grant_type"])
LOGOUTS: Final = Counter(
    "yinxin_logout_messages",
    "Messages to applications that a session ended.",
    ["channel", "result"],
)
AUDIT_EXPORT_LAG: Final = Gauge(
    "yinxin_audit_export_lag_rows",
    "Audit rows that this target does not have yet.",
    ["target"],
    multiprocess_mode=_NEWEST,
)
AUDIT_EXPORT_FAULTY: Final = Gauge(
    "yinxin_audit_export_faulty",
    "Whether this target could not be written the last time.",
    ["target"],
    multiprocess_mode=_NEWEST,
)
AUDIT_EXPORT_FAILURES: Final = Counter(
    "yinxin_audit_export_failures", "Attempts to export that failed.", ["target"]
)
WITHOUT_LABELS: Final = (PUBLICATION_LAG, PUBLICATION_FAULTS)
"""What has its value from the beginning (`yinxin.metrics`)."""
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_ALONE: Final = (None, "MainProcess")
"""How `multiprocessing` calls a process that nobody gave a name (`yinxin.processes`)."""


class JSONLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, then the `extra` fields.

    And which process, where there are several.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    @override
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self._clock.now().isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            **({} if record.processName in _ALONE else {"process": record.processName}),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure_logging(level: str, *, clock: Clock) -> None:
    """Send every log line to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines(clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn speaks of its own processes at every start; ours says what people need.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
