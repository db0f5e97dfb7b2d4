"""What a form of the console sent: its fields, its files, and the proof that it was ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from authn import cookies
from authn.forms import Fields, read_fields
from core.errors import Malformed
from yinxin.console.session import signed_in

_SENT: Final = "yinxin.console.form"
_MULTIPART: Final = "multipart/form-data"
_MOST_FIELDS: Final = 4096
"""The rules of an application have two fields each; octets are limited before."""
_MOST_OCTETS: Final = 262_144
"""Of one field that is not a file."""
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Posted:
    """The fields of a form, in order, and its files by name."""

    fields: Fields
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return a field without the space around it; the empty text if it is not there."""
        return next((value.strip() for key, value in self.fields if key == name), "")

    def all(self, name: str) -> list[str]:
        """Return every value of a field, such as the boxes that were ticked."""
        return [value for key, value in self.fields if key == name]

    def number(self, name: str) -> int | None:
        """Return a whole number, or None if the field is empty. Raises `Malformed`."""
        text = self[name]
        if not text:
            return None
        if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
            raise Malformed(f"{name}: not a whole number of at most {_MOST_DIGITS} digits")
        return int(text)

    def given(self, *names: str) -> dict[str, str]:
        """Return these fields as far as they are not empty."""
        return {name: self[name] for name in names if self[name]}


async def posted(request: Request) -> Posted:
    """Read a form of the console (a FastAPI dependency).

    Raises `Unauthenticated`, `Forbidden` when the form was not made for this browser, `Malformed`.
    """
    signed_in(request)
    form = await _read(request)
    cookies.require_csrf(request, form["csrf"])
    request.scope[_SENT] = form
    return form


def sent_with(request: Request) -> list[tuple[str, str]]:
    """Return the fields of the form that a request brought, without its token; none, if none."""
    form = request.scope.get(_SENT)
    fields = form.fields if isinstance(form, Posted) else ()
    return [(name, value) for name, value in fields if name != "csrf"]


async def _read(request: Request) -> Posted:
    if not request.headers.get("content-type", "").lower().startswith(_MULTIPART):
        return Posted(await read_fields(request, most=_MOST_FIELDS))
    fields: list[tuple[str, str]] = []
    files: dict[str, bytes] = {}
    try:
        async with request.form(
            max_files=1, max_fields=_MOST_FIELDS, max_part_size=_MOST_OCTETS
        ) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
                else:
                    fields.append((name, value))
    except HTTPException as error:
        raise Malformed("the form cannot be read") from error
    return Posted(fields, files)


Form = Annotated[Posted, Depends(posted)]
