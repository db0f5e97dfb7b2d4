"""What health checks find and advise, in Chinese: the checks say it in English sentences.

A sentence that is not here is shown as it is. A test reads them out of the checks.
"""

# ruff: noqa: E501 - a sentence a line; Chinese text has Chinese punctuation.

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from yinxin.portal.sentences import in_language

CHECKS: Final[Mapping[str, str]] = {
    "database": "数据库",
    "audit-checkpoint": "审计检查点",
    "disk-space": "磁盘空间",
    "clock": "时钟",
    "administrators": "管理员",
    "control": "多人控制",
    "ca-expiry": "CA 证书有效期",
    "ca-keys": "CA 密钥",
    "crl-age": "CRL 时效",
    "ocsp-delegates": "OCSP 签名证书",
    "key-pool": "加密密钥池",
    "jobs": "后台任务",
    "backup-age": "密钥备份",
    "interrupted": "中断的签发",
    "host-certificate": "本机证书",
    "storage-key": "存储密钥",
    "branch": "机构树",
    "outbox": "待答复的业务",
}
_ROLES: Final[Mapping[str, str]] = {
    "system": "系统",
    "business": "业务",
    "audit": "审计",
    "key": "密钥",
}
_FOUND: Final[Mapping[str, str]] = {
    r"as it should be": "正常",
    r"not looked at: (.+) stands in the way": r"未检查：\1 未通过",
    # ---- every host ----
    r"no checkpoint signs what was recorded since (.+)": r"自 \1 起的审计记录没有检查点签名",
    r"(\d+) MiB free \((\d+) %\) in (.+)": r"\3 剩余 \1 MiB（\2 %）",
    r"it is (.+) here, and an event was recorded at (.+)": r"本机时间为 \1，而最近的审计事件记于 \2",
    r"it is (.+) here, and (.+) in the database": r"本机时间为 \1，数据库时间为 \2",
    r"no (\w+) administrator has set a password": r"没有已设置口令的\1管理员",
    r"(\w+) administrators with a password: (\d+), and to review it needs (\d+)": r"已设置口令的\1管理员：\2 名；复核需要 \3 名",
    r"(\w+) administrators with a password: (\d+), and to approve a recovery it needs (\d+)": r"已设置口令的\1管理员：\2 名；批准密钥恢复需要 \3 名",
    r"one person alone can do: (.+)": r"以下操作一个人即可完成：\1",
    r"a requester may approve the own request \(ca\.separate_approver\)": "申请人可以批准自己的申请（ca.separate_approver）",
    # ---- an authority ----
    r"(.+) ended on (\S+)": r"\1 已于 \2 到期",
    r"the OCSP signer of (.+) ends on (.+)": r"\1 的 OCSP 签名证书将于 \2 到期",
    r"the certificate of this host ends on (.+)": r"本机证书将于 \1 到期",
    r"(.+) ends on (\S+)": r"\1 将于 \2 到期",
    r"the key of (.+) is gone: (.+)": r"\1 的密钥不存在：\2",
    r"(.+) has no CRL": r"\1 没有 CRL",
    r"the CRL of (.+) ended at (.+)": r"\1 的 CRL 已于 \2 过期",
    r"the CRL of (.+) is in its last quarter, and was not renewed": r"\1 的 CRL 已进入有效期的最后四分之一，仍未更新",
    r"the CRL of (.+) has (\d+) entries, more than some clients take \(10 MB\): divide what is issued from now on \(ca\.crl_partitions\)": r"\1 的 CRL 有 \2 条，超过部分客户端的上限（10 MB）：请对今后签发的证书分区（ca.crl_partitions）",
    r"(.+) has no OCSP signer": r"\1 没有 OCSP 签名证书",
    r"(\d+) keys wait, and (\d+) should": r"备用密钥 \1 个，应有 \2 个",
    r"not run in time: (.+)": r"未按时运行：\1",
    r"the software keys were never backed up in shares": "软件密钥从未做过分片备份",
    r"made since the last backup: (.+)": r"上次备份之后新建：\1",
    r"the last backup is of (.+)": r"上次备份的日期：\1",
    r"(\d+) or more serials are reserved and not finished": r"至少有 \1 个序列号已预留而未完成签发",
    # ---- hosts beside it ----
    r"the key of this host is not the one that is certified": "本机密钥与证书不符",
    r"the storage key (.+) is not there": r"存储密钥 \1 不存在",
    r"(\d+) keys are under an older storage key than (.+)": r"有 \1 个密钥仍由早于 \2 的存储密钥保护",
    r"the branch of the tree has never arrived": "尚未从证书认证机构收到本分支的机构树",
    r"(\d+) or more acts were not answered, the oldest since (.+)": r"至少有 \1 项业务未获答复，最早的一项始于 \2",
}
_REMEDIES: Final[Mapping[str, str]] = {
    "Start the database, or free its disk; `database.url` says where it is.": "启动数据库，或清理其磁盘；位置见设置 database.url。",
    "Look for `job failed` with `audit-checkpoint` in the log: the audit key or the database is out of reach, or no service runs.": "在日志中查找含 audit-checkpoint 的 job failed：审计密钥或数据库不可达，或服务没有运行。",
    "Make room before it is full: issuing stops when the audit log cannot be written.": "请在写满之前清理：审计日志无法写入时，签发即停止。",
    "Set up time synchronisation on every host; do not issue before the clocks agree.": "为每台主机配置时间同步；时钟一致之前不要签发。",
    "`yinxin user create` another administrator, or send a set-up link again (`yinxin user setup-link`).": "用 yinxin user create 新增管理员，或重新发送设置链接（yinxin user setup-link）。",
    "Set `approvals` to 1 or more under `[control.…]`, and `ca.separate_approver = true`.": "在 [control.…] 下把 approvals 设为 1 或更多，并设 ca.separate_approver = true。",
    "Hold a roll-over ceremony for an issuing CA, or make a new root (docs/ceremony.md); `ca.renew_issuing_days` renews issuing CAs under a root of ours by itself.": "为签发 CA 举行换代仪式，或新建根（docs/ceremony.md）；设 ca.renew_issuing_days，可自动续期本机构根下的签发 CA。",
    "Reconnect the token, or restore the keystore: `yinxin key restore`.": "重新连接密码设备，或恢复密钥库：yinxin key restore。",
    "Look for `the CRL cannot be` in the log; `yinxin crl ISSUER` makes the one that is due.": "在日志中查找 the CRL cannot be；用 yinxin crl 签发者 生成到期的 CRL。",
    "Look for `no OCSP responder was made` in the log; a restart tries at once.": "在日志中查找 no OCSP responder was made；重启服务会立即重试。",
    "Look for `job failed` with `km-refill` in the log; raise `key_management.standby_target`. Where the centre runs apart: start it, and `yinxin health-check` there.": "在日志中查找含 km-refill 的 job failed；调高 key_management.standby_target。密钥管理中心独立运行时：启动它，并在那里运行 yinxin health-check。",
    "Look for `job failed` with `km-refill` in the log; raise `key_management.standby_target`.": "在日志中查找含 km-refill 的 job failed；调高 key_management.standby_target。",
    "Start `yinxin serve` on one node at least, and look for `job failed` in its log.": "至少在一个节点上运行 yinxin serve，并在其日志中查找 job failed。",
    "Start `yinxin serve --role km` on one node at least, and look for `job failed` in its log.": "至少在一个节点上运行 yinxin serve --role km，并在其日志中查找 job failed。",
    "Start `yinxin serve --role ra`, and look for `job failed` in its log.": "运行 yinxin serve --role ra，并在其日志中查找 job failed。",
    "`yinxin key backup --out DIR`, and give the shares to their holders.": "运行 yinxin key backup --out 目录，并把分片交给各保管人。",
    "Approve the request again, which finishes it, or revoke the serial (docs/issuance-cycle.md).": "再次批准该申请即可完成签发，或吊销该序列号（docs/issuance-cycle.md）。",
    "`yinxin host request`, have the authority issue it, `yinxin host install`, and restart (docs/deployment.md). The other end knows the key: nothing changes there.": "依次运行 yinxin host request、由证书认证机构签发、yinxin host install，再重启（docs/deployment.md）。对端认的是密钥，无需更改。",
    "Reconnect the token, or restore the keystore that belongs to this database (docs/key-management.md). It is never made anew. After a change of `key_management.storage_key`: `yinxin key reseal`.": "重新连接密码设备，或恢复与此数据库配套的密钥库（docs/key-management.md）；它不会重新生成。更改 key_management.storage_key 之后：yinxin key reseal。",
    "`yinxin ra add` at the authority with the key that `yinxin host key` prints here; look for `the authority was not reached` in the log.": "在证书认证机构用 yinxin ra add 登记此处 yinxin host key 显示的密钥；在日志中查找 the authority was not reached。",
    "Look for `the authority was not reached` in the log here, or with pull for this host in the log of the authority; `yinxin ra list` there shows who is registered.": "在此处的日志中查找 the authority was not reached；由对方拉取时，查看证书认证机构日志中有关本机的记录。那里的 yinxin ra list 列出已登记者。",
}
_COMPILED: Final = [(re.compile(found), said) for found, said in _FOUND.items()]


def findings_in(language: str, findings: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what the API says of health checks, in the language of a page."""
    if language != "zh":
        return list(findings)
    return [
        {
            **one,
            "check": CHECKS.get(one["check"], one["check"]),
            "says": "；".join(found_in_chinese(said) for said in one["says"].split("; ")),
            "remedy": _REMEDIES.get(one["remedy"], one["remedy"]),
        }
        for one in findings
    ]


def found_in_chinese(sentence: str) -> str:
    """Return one finding in Chinese, where it is known."""
    for pattern, said in _COMPILED:
        match = pattern.fullmatch(sentence)
        if match is not None:
            if match.re.groups and match[1] in _ROLES:
                return match.expand(said).replace(match[1], _ROLES[match[1]], 1)
            if sentence.startswith("not looked at"):
                return said.replace(r"\1", CHECKS.get(match[1], match[1]))
            return match.expand(said)
    return in_language(sentence, "zh")
