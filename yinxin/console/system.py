"""The system at a glance: its issuers and their succession, and the settings in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.lists import as_csv
from yinxin.console.pages import ConsolePages
from yinxin.console.session import Asking

_SECTION: Final = "settings"
_COLUMNS: Final = ("key", "value")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "issuers": ("签发者", "Issuers"),
    "algorithm": ("签名算法", "Signature algorithm"),
    "succeeds": ("接替", "Succeeds"),
    "takes_over_at": ("接替时间", "Takes over"),
    "certificate_url": ("CA 证书", "CA certificate"),
    "crl_url": ("CRL", "CRL"),
    "settings": ("生效的设置", "Settings in force"),
    "settings_note": (
        "在设置文件中修改，重启后生效。密码和密钥不显示。",
        "Changed in the file, in force after a restart. Secrets are not shown.",
    ),
    "key": ("设置项", "Setting"),
    "value": ("值", "Value"),
    "kind_root": ("根", "Root"),
    "kind_issuing": ("签发", "Issuing"),
}


def add_system(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add issuers and settings."""

    @router.get("/settings")
    async def shown(asking: Asking, request: Request) -> Response:
        settings = await api.get(asking, path_of("settings"))
        rows = [(one["key"], json.dumps(one["value"], ensure_ascii=False)) for one in settings]
        if request.query_params.get("format") == "csv":
            return as_csv(_SECTION, _COLUMNS, rows)
        issuers = await api.get(asking, path_of("issuers"))
        return pages.page(
            "system.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            settings=rows,
            issuers=issuers,
        )
