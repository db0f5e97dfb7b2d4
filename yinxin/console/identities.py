"""What a user is: at which organisations, how well verified, by which certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from authn.accounts import Capacity
from authn.people import RealName
from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "users"

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "identities": ("机构、实名与证书登录", "Organisations, real name, certificates"),
    "affiliations": ("所属机构", "Organisations"),
    "organisation": ("机构", "Organisation"),
    "capacity": ("身份", "Capacity"),
    "affiliate": ("加入机构", "Add an organisation"),
    "since": ("始于", "Since"),
    "until": ("止于", "Until"),
    "untie": ("解除", "Remove"),
    "ask_untie": (
        "以该机构身份的登录立即结束。",
        "Sessions in the name of this organisation end at once.",
    ),
    "real_name": ("实名核验", "Real name"),
    "real_name_note": (
        "记录核验到哪一级；证件号码加密保存，不再显示。",
        "Records how well the name was verified. The number is kept encrypted and never shown.",
    ),
    "identity_card": ("公民身份号码", "Identity card number"),
    "level": ("实名等级", "Real-name level"),
    "bindings": ("可用于登录的证书", "Certificates that sign in"),
    "bindings_note": (
        "绑定的是证书主体，延期和换发后继续有效；管理员还绑定密钥。",
        "The subject is bound, so renewals go on working; for administrators the key, too.",
    ),
    "issuer": ("签发者", "Issuer"),
    "subject_sha256": ("主体（SHA-256）", "Subject (SHA-256)"),
    "bind": ("绑定证书", "Bind a certificate"),
    "certificate": ("证书（PEM）", "Certificate (PEM)"),
    "unbind": ("解除绑定", "Unbind"),
    "ask_unbind": (
        "此后不能再用这张证书登录。",
        "The certificate does not sign in any more.",
    ),
    "choose": ("请选择", "Choose"),
}


def add_identities(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page, and what its forms do."""

    @router.get("/users/{user_id}/identities")
    async def show(asking: Asking, request: Request, user_id: str) -> Response:
        person = await _person(asking, user_id)
        affiliations = await api.get(asking, path_of("users", user_id, "affiliations"))
        places = await places_for(api, request, (one["organisation"] for one in affiliations))
        bindings = await api.get(asking, path_of("certificate-bindings"))
        return pages.page(
            "identities.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=person,
            affiliations=affiliations,
            bindings=[one for one in bindings if one["user_id"] == user_id],
            names=places.names,
            places=places,
            capacities=[str(one) for one in Capacity],
            real_names=[int(one) for one in RealName],
            acts=asking.role is Role.SYSTEM,
            here_path=f"/console/users/{user_id}",
        )

    async def _person(asking: Asking, user_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await api.get(asking, path_of("users", user_id))
        return found

    _add_changes(router, api)


def _add_changes(router: APIRouter, api: ConsoleAPI) -> None:
    def back(user_id: str) -> Response:
        return see_other(f"/console/users/{user_id}/identities?done=1")

    @router.post("/users/{user_id}/affiliations")
    async def affiliate(asking: Asking, user_id: str, form: Form) -> Response:
        body = form.given("organisation", "capacity")
        if form["ends_on"]:
            body["ends_at"] = f"{form['ends_on']}T23:59:59+08:00"
        await api.post(asking, path_of("users", user_id, "affiliations"), body)
        return back(user_id)

    @router.post("/users/{user_id}/affiliations/{affiliation_id}/remove")
    async def untie(asking: Asking, user_id: str, affiliation_id: str, _: Form) -> Response:
        await api.ask(asking, "DELETE", path_of("affiliations", affiliation_id))
        return back(user_id)

    @router.post("/users/{user_id}/real-name")
    async def verify(asking: Asking, user_id: str, form: Form) -> Response:
        body: dict[str, Any] = {**form.given("identity_card"), "level": form.number("level") or 0}
        await api.ask(asking, "PUT", path_of("users", user_id, "real-name"), body=body)
        return back(user_id)

    @router.post("/users/{user_id}/bindings")
    async def bind(asking: Asking, user_id: str, form: Form) -> Response:
        body = form.given("certificate") | {"user_id": user_id}
        await api.post(asking, path_of("certificate-bindings"), body)
        return back(user_id)

    @router.post("/users/{user_id}/bindings/{binding_id}/remove")
    async def unbind(asking: Asking, user_id: str, binding_id: str, _: Form) -> Response:
        await api.ask(asking, "DELETE", path_of("certificate-bindings", binding_id))
        return back(user_id)
