"""Pages, forms, charts and icons: one layout with many contents, drawn from two generators.

`style` decides what the members of a family share (letterhead, fonts, layout), `content` what each
of them says. Members of a family are different documents, however alike they look.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SYLLABLES = (
    "ra", "ten", "mo", "li", "ver", "sa", "con", "de", "pi", "lo", "ment", "ka", "est", "u", "bri",
    "ge", "an", "tor", "is", "fe", "qua", "ny", "hol", "ster", "e", "min", "dra", "va", "ing", "o",
)  # fmt: skip
INK = ("black", "#222222", "#1b1b3a")
COLOURS = ("#b03030", "#2d6a4f", "#1d4e89", "#7b2d8b", "#c77d1e", "#444444")
A4 = (744, 1052)

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Pens:
    """style: what a family shares. content: what its member says. fonts: TrueType files."""

    style: random.Random
    content: random.Random
    fonts: Sequence[Path] = ()
    faces: dict[str, Path] = field(default_factory=dict)

    def font(self, size: float, role: str = "text") -> Font:
        """One face a role for the whole family."""
        if not self.fonts:
            return ImageFont.load_default(round(size))
        if role not in self.faces:
            self.faces[role] = self.style.choice(self.fonts)
        return ImageFont.truetype(str(self.faces[role]), round(size))

    def words(self, count: int) -> str:
        return " ".join(word(self.content) for _ in range(count))


Draw: TypeAlias = Callable[[Pens], Image.Image]


def word(chance: random.Random) -> str:
    return "".join(chance.choices(SYLLABLES, k=chance.choice((1, 2, 2, 3, 3, 4))))


def title(chance: random.Random, count: int) -> str:
    return " ".join(word(chance).capitalize() for _ in range(count))


def money(chance: random.Random) -> str:
    return f"{chance.uniform(3, 4000):,.2f}"


def page(pens: Pens, size: tuple[int, int] = A4) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", size, pens.style.choice(("white", "white", "#fdfcf7", "#f4f1e6")))
    return sheet, ImageDraw.Draw(sheet)


def paragraph(
    pen: ImageDraw.ImageDraw, pens: Pens, box: tuple[int, int, int, int], size: int
) -> None:
    """Fills the box with words, left aligned, with paragraphs of 3 to 9 lines."""
    left, top, right, bottom = box
    font, until = pens.font(size), pens.content.randint(3, 9)
    while top + size < bottom:
        line = word(pens.content)
        wide = right - left if until else (right - left) * pens.content.uniform(0.2, 0.8)
        while pen.textlength(f"{line} {(more := word(pens.content))}", font=font) < wide:
            line = f"{line} {more}"
        pen.text((left, top), line, font=font, fill="#222222")
        top += round(1.45 * size)
        until = until - 1 if until else pens.content.randint(3, 9)


def letterhead(pen: ImageDraw.ImageDraw, pens: Pens) -> str:
    """Draws the sender's name, mark, address and a line; gives the colour."""
    style = pens.style
    colour = style.choice(COLOURS)
    pen.ellipse((60, 45, 110, 95), fill=colour)
    pen.text((125, 50), title(style, 2), font=pens.font(28, "head"), fill=colour)
    for row in range(3):
        pen.text((520, 45 + 18 * row), title(style, 3), font=pens.font(13), fill="#555555")
    pen.line((60, 115, 684, 115), fill=colour, width=2)
    foot = f"{title(style, 2)} · {style.randint(10**9, 10**10)} · {word(style)}@{word(style)}.example"
    pen.text((60, 1010), foot, font=pens.font(12), fill="#666666")
    return colour


def letter(pens: Pens) -> Image.Image:
    sheet, pen = page(pens)
    letterhead(pen, pens)
    for row in range(3):
        pen.text((60, 150 + 20 * row), title(pens.content, 2), font=pens.font(15), fill="black")
    paragraph(pen, pens, (60, 270, 684, pens.content.randint(560, 900)), 15)
    return sheet


def invoice(pens: Pens) -> Image.Image:
    """Other customer, items, numbers and amounts."""
    return _invoice(pens, pens.content)


def invoice_of_one_customer(pens: Pens) -> Image.Image:
    """The same customer and items; number, date and amounts differ."""
    return _invoice(pens, pens.style)


def _invoice(pens: Pens, said: random.Random) -> Image.Image:
    sheet, pen = page(pens)
    colour, content = letterhead(pen, pens), pens.content
    for row in range(3):
        pen.text((60, 150 + 20 * row), title(said, 2), font=pens.font(15), fill="black")
    date = f"{content.randint(1, 28):02d}.{content.randint(1, 12):02d}.{content.randint(2015, 2026)}"
    number = f"No. {content.randint(10_000, 99_999)}"
    pen.text((500, 150), number, font=pens.font(15), fill="black")
    pen.text((500, 172), date, font=pens.font(15), fill="black")
    pen.text((60, 245), "Invoice", font=pens.font(26, "head"), fill=colour)
    pen.rectangle((60, 290, 684, 318), fill=colour)
    for x, text in ((70, "Item"), (430, "Quantity"), (560, "Amount")):
        pen.text((x, 294), text, font=pens.font(15), fill="white")
    top = 330
    for _ in range(said.randint(3, 9)):
        pen.text((70, top), title(said, 3), font=pens.font(14), fill="black")
        pen.text((450, top), str(content.randint(1, 40)), font=pens.font(14), fill="black")
        pen.text((674, top), money(content), font=pens.font(14), fill="black", anchor="ra")
        top += 30
    pen.line((430, top, 684, top), fill="black")
    pen.text((450, top + 8), "Total", font=pens.font(16, "head"), fill="black")
    pen.text((674, top + 8), money(content), font=pens.font(16), fill="black", anchor="ra")
    pen.text((60, top + 70), title(pens.style, 9), font=pens.font(13), fill="#444444")
    return sheet


def book_page(pens: Pens) -> Image.Image:
    sheet, pen = page(pens, (620, 900))
    pen.text((310, 40), title(pens.style, 3), font=pens.font(13), fill="#444444", anchor="ma")
    paragraph(pen, pens, (70, 85, 550, 830), 16)
    number = str(pens.content.randint(2, 480))
    pen.text((310, 855), number, font=pens.font(13), fill="#444444", anchor="ma")
    return sheet


def form(pens: Pens) -> Image.Image:
    """Printed labels and boxes, filled in with other values and ticks."""
    sheet, pen = page(pens)
    style, content = pens.style, pens.content
    pen.text((60, 50), title(style, 4), font=pens.font(26, "head"), fill="black")
    top = 120
    for _ in range(12):
        pen.text((60, top), title(style, 2), font=pens.font(13), fill="#333333")
        pen.rectangle((250, top - 6, 684, top + 26), outline="#555555")
        pen.text((260, top), title(content, 2), font=pens.font(17, "hand"), fill="#202080")
        top += 46
    for row in range(6):
        left, tick = 60 + 320 * (row % 2), content.random() < 0.5
        height = top + 40 * (row // 2)
        pen.rectangle((left, height, left + 20, height + 20), outline="black", width=2)
        if tick:
            pen.line((left, height, left + 20, height + 20), fill="#202080", width=3)
            pen.line((left + 20, height, left, height + 20), fill="#202080", width=3)
        pen.text((left + 32, height), title(style, 3), font=pens.font(13), fill="#333333")
    return sheet


def table(pens: Pens) -> Image.Image:
    columns, rows = pens.style.randint(4, 7), pens.style.randint(10, 22)
    sheet, pen = page(pens, (130 * columns + 60, 34 * rows + 110))
    pen.text((30, 20), title(pens.style, 4), font=pens.font(20, "head"), fill="black")
    colour = pens.style.choice(COLOURS)
    for column in range(columns):
        left = 30 + 130 * column
        pen.rectangle((left, 60, left + 130, 92), fill=colour, outline="white")
        pen.text((left + 8, 66), title(pens.style, 1), font=pens.font(15), fill="white")
        for row in range(rows):
            top = 94 + 34 * row
            pen.rectangle((left, top, left + 130, top + 34), outline="#bbbbbb")
            text = title(pens.style, 1) if column == 0 else money(pens.content)
            pen.text((left + 8, top + 7), text, font=pens.font(15), fill="black")
    return sheet


def bar_chart(pens: Pens) -> Image.Image:
    sheet, pen, box = _axes(pens)
    count, colour = pens.style.randint(6, 12), pens.style.choice(COLOURS)
    step = (box[2] - box[0]) / count
    for column in range(count):
        left, height = box[0] + column * step, pens.content.uniform(0.05, 0.95)
        pen.rectangle(
            (left + step / 6, box[3] - height * (box[3] - box[1]), left + step * 5 / 6, box[3]),
            fill=colour,
        )
    return sheet


def line_chart(pens: Pens) -> Image.Image:
    sheet, pen, box = _axes(pens)
    for colour in COLOURS[: pens.style.randint(1, 3)]:
        level, points = pens.content.uniform(0.2, 0.8), []
        for column in range(60):
            level = min(max(level + pens.content.gauss(0, 0.05), 0.02), 0.98)
            x = box[0] + column / 59 * (box[2] - box[0])
            points.append((x, box[3] - level * (box[3] - box[1])))
        pen.line(points, fill=colour, width=3)
    return sheet


def _axes(pens: Pens) -> tuple[Image.Image, ImageDraw.ImageDraw, tuple[int, int, int, int]]:
    sheet = Image.new("RGB", (800, 500), "white")
    pen, box = ImageDraw.Draw(sheet), (80, 70, 770, 440)
    pen.text((80, 20), title(pens.style, 4), font=pens.font(22, "head"), fill="black")
    for row in range(6):
        top = box[1] + row * (box[3] - box[1]) / 5
        pen.line((box[0], top, box[2], top), fill="#dddddd")
        pen.text((70, top), str(100 - 20 * row), font=pens.font(13), fill="#555555", anchor="rm")
    pen.line((box[0], box[1], box[0], box[3], box[2], box[3]), fill="black", width=2)
    pen.text((425, 460), title(pens.style, 2), font=pens.font(15), fill="#333333", anchor="ma")
    return sheet, pen, box


def pie_chart(pens: Pens) -> Image.Image:
    sheet = Image.new("RGB", (640, 480), "white")
    pen, start = ImageDraw.Draw(sheet), -90.0
    pen.text((30, 20), title(pens.style, 4), font=pens.font(22, "head"), fill="black")
    parts = [pens.content.uniform(0.3, 3) for _ in range(pens.style.randint(4, 6))]
    for number, part in enumerate(parts):
        angle = 360 * part / sum(parts)
        pen.pieslice((40, 80, 420, 460), start, start + angle, fill=COLOURS[number])
        start += angle
        pen.rectangle((460, 100 + 40 * number, 480, 120 + 40 * number), fill=COLOURS[number])
        place = (490, 100 + 40 * number)
        pen.text(place, title(pens.style, 1), font=pens.font(15), fill="black")
    return sheet


def line_art(pens: Pens) -> Image.Image:
    """Outlines on white, as of a colouring book."""
    sheet = Image.new("RGB", (600, 600), "white")
    pen, content = ImageDraw.Draw(sheet), pens.content
    width = pens.style.choice((2, 3, 5))
    for _ in range(content.randint(6, 12)):
        x, y = content.uniform(120, 480), content.uniform(120, 480)
        phase, wave = content.uniform(0, 6), content.randint(2, 7)
        radius, depth = content.uniform(30, 150), content.uniform(0.1, 0.5)
        outline = []
        for step in range(121):
            angle = step * math.tau / 120
            reach = radius * (1 + depth * math.sin(wave * angle + phase))
            outline.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
        pen.line(outline, fill="black", width=width)
    return sheet


def icon(pens: Pens) -> Image.Image:
    """A white sign on one disc or tile; other signs for other members."""
    sheet = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    pen, content = ImageDraw.Draw(sheet), pens.content
    colour = pens.style.choice(COLOURS)
    if pens.style.random() < 0.5:
        pen.ellipse((8, 8, 247, 247), fill=colour)
    else:
        pen.rounded_rectangle((8, 8, 247, 247), 48, fill=colour)
    for _ in range(content.randint(1, 3)):
        x, y, reach = (content.uniform(90, 165) for _ in "xyr")
        reach /= 3
        sides, rotation = content.choice((3, 4, 5, 6, 30)), content.randint(0, 90)
        pen.regular_polygon((x, y, reach), sides, rotation, fill="white")
    x, y = content.uniform(80, 170), content.uniform(80, 170)
    pen.line((x, y, content.uniform(80, 170), content.uniform(80, 170)), fill="white", width=14)
    return sheet


def code(pens: Pens) -> Image.Image:
    """Modules like those of a QR code, other data in one version."""
    side = pens.style.choice((25, 29, 33))
    noise = np.random.default_rng(pens.content.getrandbits(32))
    cells = noise.random((side, side)) < 0.5
    finder = np.ones((7, 7), bool)
    finder[1:6, 1:6] = False
    finder[2:5, 2:5] = True
    for top, left in ((0, 0), (0, side - 7), (side - 7, 0)):
        cells[max(top - 1, 0) : top + 8, max(left - 1, 0) : left + 8] = False
        cells[top : top + 7, left : left + 7] = finder
    framed = np.pad(~cells, 4, constant_values=True)
    image = Image.fromarray(framed.astype(np.uint8) * 255).convert("RGB")
    return image.resize((12 * framed.shape[0],) * 2, Image.Resampling.NEAREST)


def music(pens: Pens) -> Image.Image:
    sheet, pen = page(pens)
    pen.text((372, 40), title(pens.style, 3), font=pens.font(24, "head"), fill="black", anchor="ma")
    for system in range(9):
        top = 120 + 100 * system
        for line in range(5):
            pen.line((60, top + 10 * line, 684, top + 10 * line), fill="black")
        left = 110.0
        while left < 670:
            y = top + 5 * pens.content.randint(-1, 9)
            filled = pens.content.random() < 0.8
            pen.ellipse((left, y - 5, left + 13, y + 5), fill="black" if filled else None,
                        outline="black", width=2)  # fmt: skip
            pen.line((left + 12, y, left + 12, y - 34), fill="black", width=2)
            left += pens.content.choice((18, 26, 36, 52))
        for bar in range(1, 5):
            pen.line((60 + 156 * bar, top, 60 + 156 * bar, top + 40), fill="black", width=2)
    return sheet


def slide(pens: Pens) -> Image.Image:
    dark = pens.style.random() < 0.4
    sheet = Image.new("RGB", (960, 540), "#1f2a38" if dark else "white")
    pen, colour = ImageDraw.Draw(sheet), pens.style.choice(COLOURS)
    ink = "white" if dark else "#222222"
    pen.rectangle((0, 0, 960, 84), fill=colour)
    text = title(pens.content, 3)
    pen.text((40, 22), text, font=pens.font(34, "head"), fill="white")
    for row in range(pens.content.randint(3, 6)):
        pen.ellipse((60, 138 + 60 * row, 70, 148 + 60 * row), fill=colour)
        pen.text((90, 128 + 60 * row), pens.words(7), font=pens.font(24), fill=ink)
    pen.ellipse((890, 480, 930, 520), fill=colour)
    pen.text((40, 500), title(pens.style, 3), font=pens.font(15), fill=ink)
    return sheet


DOCUMENTS: dict[str, Draw] = {
    "letter": letter,
    "invoice": invoice,
    "invoice of one customer": invoice_of_one_customer,
    "book page": book_page,
    "form": form,
    "table": table,
    "bar chart": bar_chart,
    "line chart": line_chart,
    "pie chart": pie_chart,
    "line art": line_art,
    "icon": icon,
    "code": code,
    "music": music,
    "slide": slide,
}
