"""What generator B lays around a photo or over it: screens, collages, captions, marks, frames."""

import math

import numpy as np
from edited_copies import Kit, Saved
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

LINES = (
    "Hab ich doch gesagt", "that feeling when", "POV: you only wanted milk", "Tag a friend",
    "honestly same", "Wer kennt es nicht?", "me: I'll be quick", "Day 3 without coffee", "MOOD",
    "expectation / reality", "no thoughts, just vibes", "Angebot der Woche", "Is this yours?",
)  # fmt: skip
PEOPLE = ("Björn", "lea_photo", "Kiosk am Eck", "Mum", "Team chat", "Ravi", "Chloé", "old.things")
INKS = ("#d7263d", "#1b998b", "#2e294e", "#f46036", "#3f88c5", "#ffba08", "#6a994e", "#b5179e")


def tile(width: int, height: int, colour: str) -> Image.Image:
    return Image.new("RGB", (max(width, 1), max(height, 1)), colour)


def stacked(parts: list[Image.Image], paper: str) -> Image.Image:
    """The parts below each other, in the middle, as wide as the widest."""
    made = tile(max(part.width for part in parts), sum(part.height for part in parts), paper)
    top = 0
    for part in parts:
        made.paste(part, ((made.width - part.width) // 2, top))
        top += part.height
    return made


def text_band(
    width: int, height: int, colours: tuple[str, str], text: str, kit: Kit
) -> Image.Image:
    """One line of text in the middle of a band, as large as fits. colours: paper, ink."""
    band, size = tile(width, height, colours[0]), height * 0.55
    font = kit.font(size)
    while isinstance(font, ImageFont.FreeTypeFont) and font.getlength(text) > 0.94 * width:
        font = font.font_variant(size=font.size * 0.9)
    ImageDraw.Draw(band).text((width / 2, height / 2), text, colours[1], font, anchor="mm")
    return band


def comment_row(width: int, height: int, colours: tuple[str, str], kit: Kit) -> Image.Image:
    """A round picture of a person, a name and a line."""
    row, pen = tile(width, height, colours[0]), None
    pen = ImageDraw.Draw(row)
    pen.ellipse((height // 5, height // 5, height, height), fill=kit.chance.choice(INKS))
    left = round(1.3 * height)
    pen.text((left, height // 6), kit.chance.choice(PEOPLE), colours[1], kit.font(height / 3.2))
    pen.text((left, height * 0.55), kit.chance.choice(LINES), colours[1], kit.font(height / 3.6))
    return row


def phone_screenshot(photo: Image.Image, kit: Kit) -> Saved:
    """A gallery on black, a chat with bubbles or a feed; the photo at 25 to 80% of the area."""
    chance = kit.chance
    share, paper = (
        chance.uniform(0.26, 0.78),
        chance.choice(("#000000", "#e5ddd5", "#ffffff", "#1a1d21")),
    )
    ink = "#f2f2f2" if paper in ("#000000", "#1a1d21") else "#111111"
    margin = chance.choice((0, photo.width // 14, photo.width // 7))
    width = photo.width + 2 * margin
    height = max(round(photo.width * photo.height / share / width), photo.height + width // 6)
    height = min(height, round(2.3 * width)) if photo.height < 2 * width else height
    unit = max(width // 14, 10)
    bars = [
        text_band(
            width,
            unit,
            (paper, ink),
            f"{chance.randint(8, 21)}:{chance.randint(10, 59)}   LTE",
            kit,
        )
    ]
    room = height - photo.height - unit
    above = [comment_row(width, 2 * unit, (paper, ink), kit)]
    below: list[Image.Image] = []
    while (room := room - 2 * unit) > 2 * unit:
        part = comment_row(width, 2 * unit, (paper, ink), kit)
        (above if chance.random() < 0.3 else below).append(part)
    below.append(text_band(width, max(room, unit), (paper, ink), "<       o       =", kit))
    screen = stacked([*bars, *above, photo, *below], paper)
    if chance.random() < 0.5:
        return Saved(screen, ".png")
    return Saved(screen, ".jpg", {"quality": chance.randint(70, 90)})


def browser_screenshot(photo: Image.Image, kit: Kit) -> Saved:
    """A web page: tabs, an address, a heading, text at the right, the photo at 25% or more."""
    chance, share = kit.chance, kit.chance.uniform(0.26, 0.62)
    width = round(photo.width * chance.uniform(1.25, 1.7))
    height = max(round(photo.width * photo.height / share / width), round(1.12 * photo.height))
    page, unit = tile(width, height, "white"), max(height // 36, 7)
    pen = ImageDraw.Draw(page)
    pen.rectangle((0, 0, width, 2 * unit), fill="#dee1e6")
    pen.rectangle((unit, unit // 2, 9 * unit, 2 * unit), fill="white")
    pen.text((1.5 * unit, 0.7 * unit), chance.choice(PEOPLE), "#202124", kit.font(unit))
    pen.rounded_rectangle(
        (4 * unit, 2.4 * unit, width - 4 * unit, 3.8 * unit), unit // 2, fill="#f1f3f4"
    )
    top = min(chance.randint(4 * unit, 8 * unit), height - photo.height)
    left = chance.randint(0, (width - photo.width) // 3)
    page.paste(photo, (left, top))
    for row in range(top, height - unit, 2 * unit):
        pen.text(
            (left + photo.width + unit, row), chance.choice(LINES), "#444444", kit.font(0.9 * unit)
        )
    if chance.random() < 0.5:
        return Saved(page, ".png")
    return Saved(page, ".webp", {"quality": chance.randint(60, 90)})


def collage(photo: Image.Image, kit: Kit) -> Image.Image:
    """One large photo beside or above one to three smaller ones; its share is 25 to 70%."""
    chance, paper = kit.chance, kit.chance.choice(("white", "#222222", "#f0e6d2"))
    count, gap = chance.randint(1, 3), chance.randint(0, photo.width // 30)
    beside = chance.random() < 0.5
    side = photo.height if beside else photo.width
    cell = (side - gap * (count - 1)) // count
    depth = round((photo.width if beside else photo.height) * chance.uniform(0.45, 0.95))
    strip = tile(depth if beside else side, side if beside else depth, paper)
    for number in range(count):
        size = (depth, cell) if beside else (cell, depth)
        place = (0, number * (cell + gap)) if beside else (number * (cell + gap), 0)
        strip.paste(ImageOps.fit(kit.other(), size), place)
    parts = [photo, strip]
    chance.shuffle(parts)
    if beside:
        made = tile(photo.width + gap + strip.width, side, paper)
        made.paste(parts[0], (0, 0))
        made.paste(parts[1], (parts[0].width + gap, 0))
    else:
        made = stacked([parts[0], tile(side, gap, paper), parts[1]], paper)
    return ImageOps.expand(made, gap, paper) if chance.random() < 0.5 else made


def cropped_panel(photo: Image.Image, kit: Kit) -> Image.Image:
    """A part of the photo (60 to 90%) in a collage, or beside words on a banner."""
    chance = kit.chance
    across, down = (1.0, 1.0 / chance.uniform(1.1, 1.65))[:: chance.choice((-1, 1))]
    centre = chance.uniform(0.3, 0.7), chance.uniform(0.3, 0.7)
    size = round(photo.width * across), round(photo.height * down)
    panel = ImageOps.fit(photo, size, centering=centre)
    if chance.random() < 0.5:
        return collage(panel, kit)
    colours = chance.choice(((chance.choice(INKS), "white"), ("#f4f1ea", "#222222")))
    beside = round(panel.width * chance.uniform(0.5, 1.0)), panel.height
    lines = [
        text_band(beside[0], panel.height // 6, colours, chance.choice(LINES), kit)
        for _ in range(3)
    ]
    words = tile(*beside, colours[0])
    words.paste(stacked(lines, colours[0]), (0, chance.randint(0, panel.height // 2)))
    banner = tile(panel.width + words.width, panel.height, colours[0])
    left = chance.choice((0, words.width))
    banner.paste(panel, (left, 0))
    banner.paste(words, (panel.width if left == 0 else 0, 0))
    return banner


def meme_bar(photo: Image.Image, kit: Kit) -> Image.Image:
    colours = kit.chance.choice((("white", "black"), ("black", "white"), ("#fffbe6", "#222222")))
    where = kit.chance.choice(("above", "below", "around"))

    def bar() -> Image.Image:
        lines = kit.chance.choice((1, 2))
        height = round(photo.height * kit.chance.uniform(0.07, 0.13))
        bands = [
            text_band(photo.width, height, colours, kit.chance.choice(LINES), kit)
            for _ in range(lines)
        ]
        return stacked(bands, colours[0])

    above = [bar()] if where != "below" else []
    below = [bar()] if where != "above" else []
    return stacked([*above, photo, *below], colours[0])


def blended(photo: Image.Image, mask: Image.Image, colour: str) -> Image.Image:
    return Image.composite(tile(*photo.size, colour), photo, mask)


def caption_inside(photo: Image.Image, kit: Kit) -> Image.Image:
    """A half-transparent band across the photo with a line in it, as in stories."""
    height = round(photo.height * kit.chance.uniform(0.08, 0.14))
    top = round(photo.height * kit.chance.choice((0.03, 0.5, 0.82)))
    mask = Image.new("L", photo.size, 0)
    ImageDraw.Draw(mask).rectangle(
        (0, top, photo.width, top + height), fill=kit.chance.choice((150, 200))
    )
    made = blended(photo, mask, "black")
    band = text_band(photo.width, height, ("black", "white"), kit.chance.choice(LINES), kit)
    made.paste("white", (0, top), band.convert("L"))
    return made


def sticker(photo: Image.Image, kit: Kit) -> Image.Image:
    """A heart, a burst, a speech bubble or a ring at 3 to 15% of the area."""
    chance = kit.chance
    side = round((chance.uniform(0.035, 0.145) * photo.width * photo.height) ** 0.5)
    big = 4 * side
    mask = Image.new("L", (big, big), 0)
    pen, kind = ImageDraw.Draw(mask), chance.choice(("heart", "burst", "bubble", "ring"))
    if kind == "heart":
        angles = np.linspace(0, math.tau, 120)
        x = 16 * np.sin(angles) ** 3
        y = (
            13 * np.cos(angles)
            - 5 * np.cos(2 * angles)
            - 2 * np.cos(3 * angles)
            - np.cos(4 * angles)
        )
        points = [
            (big / 2 + a * big / 34, big * 0.45 - b * big / 34) for a, b in zip(x, y, strict=True)
        ]
        pen.polygon(points, fill=255)
    elif kind == "burst":
        reach = [big / 2 * (0.75 + 0.24 * (n % 2)) for n in range(28)]
        turns = [n * math.tau / 28 for n in range(28)]
        pen.polygon(
            [
                (big / 2 + r * math.cos(t), big / 2 + r * math.sin(t))
                for r, t in zip(reach, turns, strict=True)
            ],
            fill=255,
        )
    elif kind == "bubble":
        pen.rounded_rectangle((0, big // 6, big, 3 * big // 4), big // 6, fill=255)
        pen.polygon([(big // 4, big // 2), (big // 2, big // 2), (big // 5, big)], fill=255)
    else:
        pen.ellipse((0, 0, big - 1, big - 1), fill=255)
        pen.ellipse((big // 3, big // 3, 2 * big // 3, 2 * big // 3), fill=0)
    mask = mask.resize((side, side)).rotate(chance.uniform(-20, 20))
    face = tile(side, side, chance.choice(INKS))
    if kind in ("burst", "bubble"):
        text = chance.choice(("wow", "-50%", "Neu!", "omg"))
        ImageDraw.Draw(face).text(
            (side / 2, side / 2), text, "white", kit.font(side / 4), anchor="mm"
        )
    made = photo.copy()
    place = (
        chance.randint(0, max(photo.width - side, 0)),
        chance.randint(0, max(photo.height - side, 0)),
    )
    made.paste(face, place, mask)
    return made


def logo(photo: Image.Image, kit: Kit) -> Image.Image:
    """A round seal or a ribbon across a corner."""
    chance, made = kit.chance, photo.copy()
    pen, side = ImageDraw.Draw(made), round(min(photo.size) * chance.uniform(0.19, 0.3))
    if chance.random() < 0.5:
        pen.polygon(
            [(0, side), (side, 0), (round(1.5 * side), 0), (0, round(1.5 * side))],
            chance.choice(INKS),
        )
        return made
    left, top = (chance.choice((side // 8, length - side - side // 8)) for length in photo.size)
    pen.ellipse(
        (left, top, left + side, top + side), chance.choice(INKS), "white", max(side // 14, 1)
    )
    pen.text((left + side / 2, top + side / 2), chance.choice(("VX", "nord", "&co")), "white",
             kit.font(side / 3), anchor="mm")  # fmt: skip
    return made


def watermark_tiled(photo: Image.Image, kit: Kit) -> Image.Image:
    """Slanted words all over, white or black, at a quarter to two fifths of their strength."""
    reach = round(1.5 * max(photo.size))
    layer, text = (
        Image.new("L", (reach, reach), 0),
        kit.chance.choice(("Muster", "demo copy", "fotohaus")),
    )
    pen, step, font = ImageDraw.Draw(layer), reach // 7, kit.font(reach / 26)
    strength = kit.chance.randint(60, 105)
    for row in range(0, reach, step // 2):
        for column in range(0, reach, step):
            pen.text((column, row), text, strength, font)
    layer = ImageOps.fit(
        layer.rotate(kit.chance.choice((30, 45, -30))), photo.size, centering=(0.5, 0.5)
    )
    return blended(photo, layer, kit.chance.choice(("white", "black")))


def watermark_corner(photo: Image.Image, kit: Kit) -> Image.Image:
    mask, size = Image.new("L", photo.size, 0), photo.width / 14
    anchor, place = kit.chance.choice(
        (("la", (0.03, 0.02)), ("ls", (0.03, 0.97)), ("ra", (0.97, 0.02)))
    )
    where = (photo.width * place[0], photo.height * place[1])
    ImageDraw.Draw(mask).text(
        where, kit.chance.choice(("© 2021 R.B.", "@old.things")), 150, kit.font(size), anchor=anchor
    )
    return blended(photo, mask, kit.chance.choice(("white", "#ffe066")))


def frame_flat(photo: Image.Image, kit: Kit) -> Image.Image:
    """A mat of two colours, or wide bars at two sides only."""
    edge = round(min(photo.size) * kit.chance.uniform(0.02, 0.07))
    if kit.chance.random() < 0.7:
        inner = ImageOps.expand(photo, edge, kit.chance.choice(("white", "#efe9dc", "black")))
        return ImageOps.expand(inner, max(edge // 2, 2), kit.chance.choice(INKS))
    across = kit.chance.random() < 0.5
    return ImageOps.expand(photo, (4 * edge, 0) if across else (0, 4 * edge), "black")


def frame_gradient(photo: Image.Image, kit: Kit) -> Image.Image:
    """The photo on its own blurred and enlarged self, or on a round gradient."""
    edge = round(min(photo.size) * kit.chance.uniform(0.05, 0.13))
    size = (photo.width + 2 * edge, photo.height + 2 * edge)
    if kit.chance.random() < 0.5:
        back = photo.resize(size).filter(ImageFilter.GaussianBlur(edge))
    else:
        inside, outside = kit.chance.sample(INKS, 2)
        back = ImageOps.colorize(Image.radial_gradient("L").resize(size), inside, outside)
    back.paste(photo, (edge, edge))
    return back


def polaroid(photo: Image.Image, kit: Kit) -> Image.Image:
    edge = round(min(photo.size) * kit.chance.uniform(0.035, 0.06))
    foot = text_band(
        photo.width,
        round(edge * kit.chance.uniform(2.2, 3.5)),
        ("#fafaf5", "#30304a"),
        kit.chance.choice(PEOPLE),
        kit,
    )
    card = ImageOps.expand(stacked([photo, foot], "#fafaf5"), edge, "#fafaf5")
    return ImageOps.expand(card, edge // 3, "#b8b8b8")


def rounded(photo: Image.Image, kit: Kit) -> Saved:
    """Round corners, on a colour or on nothing."""
    mask = Image.new("L", photo.size, 0)
    radius = round(min(photo.size) * kit.chance.uniform(0.08, 0.22))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, photo.width - 1, photo.height - 1), radius, 255)
    if kit.chance.random() < 0.5:
        made = photo.copy()
        made.putalpha(mask)
        return Saved(made, ".webp", {"quality": 82})
    paper = kit.chance.choice(("white", "black", *INKS))
    return Saved(Image.composite(photo, tile(*photo.size, paper), mask), ".jpg", {"quality": 86})


def drop_shadow(photo: Image.Image, kit: Kit) -> Image.Image:
    edge = round(min(photo.size) * kit.chance.uniform(0.05, 0.12))
    paper = kit.chance.choice(("white", "#dfe7ee", "#f7efe2"))
    made = tile(photo.width + 3 * edge, photo.height + 3 * edge, paper)
    shade = Image.new("L", made.size, 0)
    shade.paste(
        140,
        (
            edge + edge // 2,
            edge + edge // 2,
            edge + edge // 2 + photo.width,
            edge + edge // 2 + photo.height,
        ),
    )
    made.paste("black", mask=shade.filter(ImageFilter.GaussianBlur(edge / 3)))
    made.paste(photo, (edge, edge))
    return made
