"""What generator A lays around a photo or over it: screens, collages, captions, marks, frames."""

from edited_copies import Kit, Saved
from PIL import Image, ImageDraw, ImageFilter, ImageOps

WORDS = (
    "when the weekend finally comes", "nobody told me", "still waiting for the delivery",
    "new in store", "my face on monday", "limited offer", "look at this", "me explaining it again",
    "they said it would fit", "so this happened", "best find ever", "every single time", "Sale",
)  # fmt: skip
NAMES = ("Anna", "Jonas", "Market24", "Mia K.", "Holger", "shopper_9", "Tess", "Family group")
COLOURS = ("crimson", "orange", "gold", "seagreen", "royalblue", "purple", "hotpink", "teal")
LIGHT = ("white", "#f5f5f5", "#eef2f7", "#fff8e7")
DARK = ("black", "#121212", "#1d2733", "#2b2b2b")
BICUBIC = Image.Resampling.BICUBIC


def fitted(photo: Image.Image, width: int, height: int) -> Image.Image:
    """Scaled to lie inside width x height."""
    return ImageOps.contain(photo, (max(width, 8), max(height, 8)), Image.Resampling.LANCZOS)


def screenshot_phone(photo: Image.Image, kit: Kit) -> Image.Image:
    """A chat or feed app: status bar, title with an avatar, the photo, text, a bar below."""
    chance = kit.chance
    width = chance.choice((360, 390, 412)) * (2 if max(photo.size) > 700 else 1)
    inside = fitted(photo, width - 2 * chance.choice((0, 0, width // 30)), 10 * width)
    share = chance.uniform(0.3, 0.8)
    height = min(max(round(inside.width * inside.height / share / width), inside.height + 60),
                 round(2.2 * width) if inside.height < 1.9 * width else 10 * width)  # fmt: skip
    dark = chance.random() < 0.4
    paper, ink = (chance.choice(DARK), "#dddddd") if dark else (chance.choice(LIGHT), "#222222")
    screen = Image.new("RGB", (width, height), paper)
    pen, unit = ImageDraw.Draw(screen), width // 24
    top = round((height - inside.height) * chance.uniform(0.35, 0.65))
    pen.text((unit, unit // 3), "12:47", font=kit.font(0.8 * unit), fill=ink)
    pen.rectangle((width - 2 * unit, unit // 2, width - unit, unit), fill=ink)
    row = top - 2 * unit
    pen.ellipse((unit, row, 2.6 * unit, row + 1.6 * unit), fill=chance.choice(COLOURS))
    pen.text((3 * unit, row), chance.choice(NAMES), font=kit.font(unit), fill=ink)
    screen.paste(inside, ((width - inside.width) // 2, top))
    row = top + inside.height + unit // 2
    while row < height - 2 * unit:
        pen.text((unit, row), chance.choice(WORDS), font=kit.font(0.9 * unit), fill=ink)
        row += 2 * unit
    bar = height - round(1.8 * unit)
    pen.rectangle((0, bar, width, height), fill=chance.choice(DARK if dark else LIGHT))
    for column in range(4):
        left = round((column + 0.4) * width / 4)
        pen.rectangle((left, bar + unit // 2, left + unit, bar + round(1.4 * unit)), outline=ink)
    return screen


def screenshot_desktop(photo: Image.Image, kit: Kit) -> Saved:
    """A window with a title bar and a list at the left, on a desktop."""
    chance = kit.chance
    share = chance.uniform(0.27, 0.6)
    area = photo.width * photo.height / share
    width = max(round((area * 1.6) ** 0.5), round(1.25 * photo.width))
    height = max(round(area / width), round(1.15 * photo.height))
    screen = Image.new("RGB", (width, height), chance.choice(("#2e4a62", "#4b3f72", "#3a5f4a")))
    pen, unit = ImageDraw.Draw(screen), max(height // 40, 6)
    left = round((width - photo.width) * chance.uniform(0.5, 0.9))
    top = round(max((height - photo.height) * chance.uniform(0.4, 0.8), 2 * unit))
    pen.rectangle((unit, top - 2 * unit, width - unit, height - 1.5 * unit), fill="#ececec")
    pen.rectangle((unit, top - 2 * unit, width - unit, top), fill="#c9c9c9")
    pen.text((2 * unit, top - 1.8 * unit), "Photos", font=kit.font(1.2 * unit), fill="black")
    for row in range(8):
        place = (2 * unit, top + (3 * row + 1) * unit)
        pen.text(place, chance.choice(NAMES), font=kit.font(unit), fill="#333333")
    pen.rectangle((0, height - 1.5 * unit, width, height), fill="#20262e")
    screen.paste(photo, (left, top))
    if chance.random() < 0.6:
        return Saved(screen, ".png")
    return Saved(screen, ".jpg", {"quality": chance.randint(75, 92)})


def collage(photo: Image.Image, kit: Kit) -> Image.Image:
    """Two to four photos in a row or a grid with gaps; the first one is anywhere among them."""
    return in_a_grid(photo, photo.size, kit)


def collage_cropped(photo: Image.Image, kit: Kit) -> Image.Image:
    """The same with cells of other proportions, for which the photo loses 8 to 35%."""
    factor = kit.chance.uniform(1.08, 1.54)
    if kit.chance.random() < 0.5:
        return in_a_grid(photo, (round(photo.width / factor), photo.height), kit)
    return in_a_grid(photo, (photo.width, round(photo.height / factor)), kit)


def in_a_grid(photo: Image.Image, size: tuple[int, int], kit: Kit) -> Image.Image:
    """size: of a cell."""
    chance, gap = kit.chance, kit.chance.choice((0, 4, 8))
    columns, rows = chance.choice(((2, 1), (1, 2), (2, 2)))
    sheet = Image.new(
        "RGB",
        (columns * (size[0] + gap) + gap, rows * (size[1] + gap) + gap),
        chance.choice(("white", "black")),
    )
    photos = [photo, *(kit.other() for _ in range(columns * rows - 1))]
    cells = [ImageOps.fit(each, size) for each in photos]
    chance.shuffle(cells)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        sheet.paste(cell, (gap + column * (size[0] + gap), gap + row * (size[1] + gap)))
    return sheet


def meme(photo: Image.Image, kit: Kit) -> Image.Image:
    """Bars above, below or both, with a line or two in them."""
    chance = kit.chance
    paper, ink = chance.choice((("white", "black"), ("black", "white")))
    where = chance.choice(("top", "bottom", "both"))
    bar = round(photo.height * chance.uniform(0.1, 0.28))
    above, below = (bar if where in (name, "both") else 0 for name in ("top", "bottom"))
    made = Image.new("RGB", (photo.width, photo.height + above + below), paper)
    made.paste(photo, (0, above))
    pen = ImageDraw.Draw(made)
    for top, height in ((0, above), (above + photo.height, below)):
        if height:
            text = chance.choice(WORDS)
            size = min(0.6 * height, 1.7 * photo.width / len(text))
            place = (photo.width / 2, top + height / 2)
            pen.text(place, text, font=kit.font(size), fill=ink, anchor="mm")
    return made


def caption_inside(photo: Image.Image, kit: Kit) -> Image.Image:
    """White letters with a black edge at the top or the bottom of the photo itself."""
    made, text = photo.copy(), kit.chance.choice(WORDS).upper()
    size = 1.5 * photo.width / max(len(text), 10)
    place = (photo.width / 2, photo.height * kit.chance.choice((0.1, 0.9)))
    ImageDraw.Draw(made).text(
        place, text, font=kit.font(size), fill="white", anchor="mm",
        stroke_width=max(round(size / 12), 1), stroke_fill="black",
    )  # fmt: skip
    return made


def sticker(photo: Image.Image, kit: Kit) -> Image.Image:
    """A face, a star, a heart or a label at 3-15% of the area, anywhere."""
    chance, made = kit.chance, photo.convert("RGB")
    side = round((chance.uniform(0.03, 0.15) * photo.width * photo.height) ** 0.5)
    layer = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen, colour = ImageDraw.Draw(layer), chance.choice(COLOURS)
    kind = chance.choice(("face", "label", "star"))
    if kind == "face":
        pen.ellipse((0, 0, side - 1, side - 1), fill="gold", outline="black", width=side // 30 + 1)
        for x in (0.33, 0.67):
            pen.ellipse(
                (side * (x - 0.06), side * 0.3, side * (x + 0.06), side * 0.45), fill="black"
            )
        pen.arc((side * 0.25, side * 0.35, side * 0.75, side * 0.8), 20, 160, "black", side // 18)
    elif kind == "label":
        pen.rounded_rectangle((0, side // 5, side - 1, 4 * side // 5), side // 8, fill=colour)
        text = chance.choice(("NEW", "-30%", "HOT", "2 for 1"))
        font = kit.font(side / 4)
        pen.text((side / 2, side / 2), text, font=font, fill="white", anchor="mm")
    else:
        pen.regular_polygon((side / 2, side / 2, side / 2), 3, fill=colour)
        pen.regular_polygon((side / 2, side / 2, side / 2), 3, rotation=180, fill=colour)
    layer = layer.rotate(chance.uniform(-25, 25), BICUBIC)
    place = (
        chance.randint(0, max(photo.width - side, 0)),
        chance.randint(0, max(photo.height - side, 0)),
    )
    made.paste(layer, place, layer)
    return made


def logo(photo: Image.Image, kit: Kit) -> Image.Image:
    """A solid mark in a corner, at 3-8% of the area."""
    chance, made = kit.chance, photo.copy()
    side = round((chance.uniform(0.03, 0.08) * photo.width * photo.height) ** 0.5)
    left = chance.choice((3, photo.width - side - 3))
    top = chance.choice((3, photo.height - side - 3))
    pen = ImageDraw.Draw(made)
    pen.rectangle((left, top, left + side, top + side), fill=chance.choice(COLOURS))
    pen.text(
        (left + side / 2, top + side / 2), chance.choice(("ab", "K&M", "Q")),
        font=kit.font(side / 2.5), fill="white", anchor="mm",
    )  # fmt: skip
    return made


def watermark_tiled(photo: Image.Image, kit: Kit) -> Image.Image:
    layer = Image.new("L", photo.size, 0)
    pen, step = ImageDraw.Draw(layer), max(photo.width // kit.chance.randint(3, 4), 40)
    font, text = kit.font(step / 5), kit.chance.choice(("preview", "© studio", "SAMPLE"))
    for top in range(0, photo.height, step // 2):
        for left in range(-(top % step), photo.width, step):
            pen.text((left, top), text, font=font, fill=kit.chance.randint(70, 130))
    return Image.composite(Image.new("RGB", photo.size, "white"), photo, layer)


def watermark_corner(photo: Image.Image, kit: Kit) -> Image.Image:
    layer, text = (
        Image.new("L", photo.size, 0),
        kit.chance.choice(("© M. Lind", "stockpix.example")),
    )
    place = (photo.width * 0.97, photo.height * 0.97)
    font = kit.font(photo.width / 18)
    ImageDraw.Draw(layer).text(place, text, font=font, fill=180, anchor="rs")
    return Image.composite(Image.new("RGB", photo.size, "white"), photo, layer)


def framed(photo: Image.Image, edges: tuple[int, int, int, int], paper: Image.Image) -> Image.Image:
    """edges: left, top, right, bottom in pixels. paper: scaled to the whole."""
    left, top, right, bottom = edges
    made = paper.resize((photo.width + left + right, photo.height + top + bottom))
    made.paste(photo, (left, top))
    return made


def frame_flat(photo: Image.Image, kit: Kit) -> Image.Image:
    edge = round(min(photo.size) * kit.chance.uniform(0.03, 0.12))
    colour = kit.chance.choice(("white", "black", "grey", "saddlebrown", *COLOURS))
    return framed(photo, (edge,) * 4, Image.new("RGB", (1, 1), colour))


def frame_gradient(photo: Image.Image, kit: Kit) -> Image.Image:
    edge = round(min(photo.size) * kit.chance.uniform(0.04, 0.1))
    above, below = kit.chance.sample(COLOURS, 2)
    ramp = ImageOps.colorize(Image.linear_gradient("L"), above, below)
    return framed(photo, (edge,) * 4, ramp)


def polaroid(photo: Image.Image, kit: Kit) -> Image.Image:
    edge = round(min(photo.size) * kit.chance.uniform(0.04, 0.07))
    made = framed(photo, (edge, edge, edge, 4 * edge), Image.new("RGB", (1, 1), "#fdfdf8"))
    if kit.chance.random() < 0.5:
        place = (made.width / 2, made.height - 2 * edge)
        font = kit.font(1.5 * edge)
        text = kit.chance.choice(NAMES)
        ImageDraw.Draw(made).text(place, text, font=font, fill="#333344", anchor="mm")
    return made


def rounded(photo: Image.Image, kit: Kit) -> Image.Image | Saved:
    mask = Image.new("L", photo.size, 0)
    radius = round(min(photo.size) * kit.chance.uniform(0.05, 0.18))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, *photo.size), radius, fill=255)
    if kit.chance.random() < 0.5:
        made = photo.convert("RGBA")
        made.putalpha(mask)
        return Saved(made, ".png")
    paper = Image.new("RGB", photo.size, kit.chance.choice(("white", "black")))
    return Image.composite(photo, paper, mask)


def shadow(photo: Image.Image, kit: Kit) -> Image.Image:
    edge = round(min(photo.size) * kit.chance.uniform(0.06, 0.1))
    made = Image.new("RGB", (photo.width + 2 * edge, photo.height + 2 * edge), "white")
    off = edge + edge // 3
    made.paste("#555555", (off, off, off + photo.width, off + photo.height))
    made = made.filter(ImageFilter.GaussianBlur(edge / 4))
    made.paste(photo, (edge, edge))
    return made
