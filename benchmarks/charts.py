"""Charts of one layout with other data."""

from pens import COLOURS, Pens, title
from PIL import Image, ImageDraw


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
