"""A QR code as SVG, drawn here: no script, and no service that would see the secret in it."""

from __future__ import annotations

import segno
from markupsafe import Markup


def qr_svg(text: str, *, label: str) -> Markup:
    """Return an `<svg>` of `text` (ISO/IEC 18004, level M), for inside a page.

    It says `label` to screen readers. Black on white whatever the colours of the page: some
    applications do not read it the other way round.
    """
    drawn = segno.make_qr(text, error="m").svg_inline(
        scale=4, border=4, dark="#000", light="#fff", title=label, omitsize=True
    )
    return Markup(drawn)  # noqa: S704  (the title is escaped by segno, the rest is numbers)
