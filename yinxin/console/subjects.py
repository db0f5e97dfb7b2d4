"""People, organisations and devices that hold certificates: find, keep, move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form, Posted
from yinxin.console.lists import a_page, address_maker, as_csv, criteria, every_item
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.session import Asking, require

_SECTION: Final = "subjects"
_PATH: Final = "/api/v1/subjects"
_HERE: Final = "/console/subjects"
KINDS: Final = ("person", "organisation", "device")
IDENTIFIERS: Final = (
    "identity-card",
    "passport",
    "staff-number",
    "credit-code",
    "device-number",
)
_COLUMNS: Final = ("id", "kind", "identifier_type", "identifier", "name", "email", "created_at")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "identifier": ("标识", "Identifier"),
    "identifier_type": ("标识类型", "Kind of identifier"),
    "email": ("电子邮箱", "Email"),
    "phone": ("电话", "Phone"),
    "contacts": ("联系方式", "Contacts"),
    "organisation": ("所属机构", "Organisation"),
    "find": ("姓名或名称（开头）", "Name (its beginning)"),
    "find_exact": ("按证件号查找", "Find by identifier"),
    "keep": ("登记", "Register"),
    "new_subject": ("登记人员或设备", "Register a person or a device"),
    "identifier_note": (
        "身份证号和护照号只保存带密钥的摘要和末四位。",
        "Of cards and passports only a keyed digest and the last four characters are kept.",
    ),
    "change_it": ("修改", "Change"),
    "move": ("调入其他机构", "Move to another organisation"),
    "ask_move": (
        "已签发的证书仍归原机构。",
        "Certificates keep the organisation they were issued under.",
    ),
    "history": ("归属历史", "Where it belonged"),
    "before": ("原机构", "Before"),
    "after": ("新机构", "After"),
    "certificates_of": ("其证书", "Its certificates"),
    "registered": ("登记时间", "Registered"),
    "choose": ("请选择", "Choose"),
}


def add_subjects(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add people, organisations and devices."""

    @router.get("/subjects")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "kind", "text", "under", "sort")
        if request.query_params.get("format") == "csv":
            items = await every_item(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await a_page(api, request, _PATH, query)
        return pages.page(
            "subjects.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            given=query,
            kinds=KINDS,
            identifiers=IDENTIFIERS,
            address=address_maker(request),
            acts=asking.role is Role.BUSINESS,
        )

    @router.get("/subjects/new")
    async def blank(asking: Asking, request: Request) -> Response:
        require(asking, Role.BUSINESS)
        places = await places_for(api, request)
        return pages.page(
            "subject_new.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            kinds=KINDS,
            identifiers=IDENTIFIERS,
            places=places,
        )

    @router.post("/subjects/new")
    async def keep(asking: Asking, form: Form) -> Response:
        body = form.given("kind", "identifier_type", "identifier", "organisation")
        made = await api.post(asking, _PATH, {**body, **_particulars(form)})
        return see_other(f"{_HERE}/{made['id']}?done=1")

    @router.post("/subjects/find")
    async def find(asking: Asking, form: Form) -> Response:
        # A POST, so that no identity card number comes into an address or a log.
        body = form.given("kind", "identifier_type", "identifier")
        found = await api.post(asking, path_of("subjects", "find"), body)
        return see_other(f"{_HERE}/{found['id']}")

    _add_one(router, pages, api)


def _add_one(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    @router.get("/subjects/{subject_id}")
    async def show(asking: Asking, request: Request, subject_id: str) -> Response:
        found = await api.get(asking, path_of("subjects", subject_id))
        stood = [place for one in found["history"] for place in (one["before"], one["after"])]
        stood.append(found["subject"]["organisation_id"])
        places = await places_for(api, request, stood)
        return pages.page(
            "subject.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found["subject"],
            history=found["history"],
            places=places,
            acts=asking.role is Role.BUSINESS,
            here_path=f"{_HERE}/{subject_id}",
        )

    @router.post("/subjects/{subject_id}/update")
    async def update(asking: Asking, subject_id: str, form: Form) -> Response:
        await api.post(asking, path_of("subjects", subject_id, "update"), _particulars(form))
        return see_other(f"{_HERE}/{subject_id}?done=1")

    @router.post("/subjects/{subject_id}/move")
    async def move(asking: Asking, subject_id: str, form: Form) -> Response:
        body = {"organisation": form["organisation"]}
        await api.post(asking, path_of("subjects", subject_id, "move"), body)
        return see_other(f"{_HERE}/{subject_id}?done=1")


def _particulars(form: Posted) -> dict[str, Any]:
    body: dict[str, Any] = form.given("name", "email")
    contacts = {
        name.removeprefix("contact-"): value.strip()
        for name, value in form.fields
        if name.startswith("contact-") and value.strip()
    }
    return body | {"contacts": contacts}
