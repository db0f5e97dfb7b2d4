"""The audit chain on its way off the box: targets from the settings, and what feeds them."""

from __future__ import annotations

import ssl
from contextlib import ExitStack

from core.audit_export import AuditExporter, AuditTarget
from core.audit_file import FileTarget
from core.audit_sql import SQLAuditLog
from core.audit_syslog import SyslogTarget
from core.clock import Clock
from core.db import Database
from core.errors import Misconfigured
from core.jobs import Job, JobRunner
from yinxin.audit_key import AuditKey
from yinxin.config import AuditConfig, AuditSyslogConfig

_EVERY_SECONDS = 2
"""How often checkpoints and exports are looked at; so late a checkpoint may be."""


def make_exporter(
    config: AuditConfig, audit: SQLAuditLog, key: AuditKey, *, hostname: str
) -> AuditExporter:
    """Make what signs checkpoints and exports. Raises `Misconfigured`."""
    targets: list[AuditTarget] = []
    if config.file.directory is not None:
        targets.append(FileTarget(config.file.directory, rotate_octets=config.file.rotate_octets))
    if config.syslog.host is not None:
        tls = _tls(config.syslog) if config.syslog.protocol == "tls" else None
        targets.append(
            SyslogTarget(config.syslog.host, config.syslog.port, tls=tls, hostname=hostname)
        )
    return AuditExporter(
        audit, targets, key, rows=config.checkpoint_rows, seconds=config.checkpoint_seconds
    )


def export_while_open(
    stack: ExitStack, database: Database, exporter: AuditExporter, *, clock: Clock
) -> JobRunner:
    """Return what runs the exporter, in a thread of its own: a collector may keep it waiting.

    When `stack` ends, everything that was put on it after this call has ended before, and what it
    wrote last is signed and exported, too.
    """
    stack.callback(exporter.close)
    stack.callback(exporter.finish)
    job = Job("audit-export", _EVERY_SECONDS, exporter.run)
    runner = JobRunner(database, (job,), clock=clock)
    stack.callback(runner.stop)
    return runner


def _tls(config: AuditSyslogConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.trust)
        if config.certificate is not None:
            context.load_cert_chain(config.certificate)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(f"audit.syslog: cannot read the certificates: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
