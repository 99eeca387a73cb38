"""Pages, forms and icons: one layout with many contents, drawn from two generators.

`style` decides what the members of a family share (letterhead, fonts, layout), `content` what each
of them says. Members of a family are different documents, however alike they look.
"""

import math
import random

import charts
import numpy as np
from pens import COLOURS, Draw, Pens, money, title, word
from PIL import Image, ImageDraw

A4 = (744, 1052)


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
    foot = (
        f"{title(style, 2)} · {style.randint(10**9, 10**10)} · {word(style)}@{word(style)}.example"
    )
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
    date = (
        f"{content.randint(1, 28):02d}.{content.randint(1, 12):02d}.{content.randint(2015, 2026)}"
    )
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
    "bar chart": charts.bar_chart,
    "line chart": charts.line_chart,
    "pie chart": charts.pie_chart,
    "line art": line_art,
    "icon": icon,
    "code": code,
    "music": music,
    "slide": slide,
}
