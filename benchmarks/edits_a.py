"""Edited copies, generator A: the one to develop on. `edits_b` makes the same kinds otherwise.

Built on Pillow's own operations; sizes are shares of the photo's sides.
"""

import random

import numpy as np
from edited_copies import Edit, Kind, Kit, Saved, chain_of
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

WORDS = (
    "when the weekend finally comes", "nobody told me", "still waiting for the delivery",
    "new in store", "my face on monday", "limited offer", "look at this", "me explaining it again",
    "they said it would fit", "so this happened", "best find ever", "every single time", "Sale",
)  # fmt: skip
NAMES = ("Anna", "Jonas", "Market24", "Mia K.", "Holger", "shopper_9", "Tess", "Family group")
COLOURS = ("crimson", "orange", "gold", "seagreen", "royalblue", "purple", "hotpink", "teal")
LIGHT = ("white", "#f5f5f5", "#eef2f7", "#fff8e7")
DARK = ("black", "#121212", "#1d2733", "#2b2b2b")
ORIENTATIONS = tuple(Image.Transpose)
BICUBIC = Image.Resampling.BICUBIC


def crop(photo: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """box: left, top, right and bottom as shares of the sides."""
    width, height = photo.size
    left, top, right, bottom = box
    return photo.crop(
        (round(left * width), round(top * height), round(right * width), round(bottom * height))
    )


def crop_anywhere(photo: Image.Image, kit: Kit, least: float, most: float) -> Image.Image:
    """Takes a share off the width and another off the height, anywhere."""
    off_x, off_y = (kit.chance.uniform(least, most) for _ in "xy")
    left, top = kit.chance.uniform(0, off_x), kit.chance.uniform(0, off_y)
    return crop(photo, (left, top, left + 1 - off_x, top + 1 - off_y))


def crop_one_side(photo: Image.Image, kit: Kit) -> Image.Image:
    box, side = [0.0, 0.0, 1.0, 1.0], kit.chance.randrange(4)
    share = kit.chance.uniform(0.05, 0.25)
    box[side] = share if side < 2 else 1 - share
    return crop(photo, (box[0], box[1], box[2], box[3]))


def crop_two_sides(photo: Image.Image, kit: Kit) -> Image.Image:
    one, other = (kit.chance.uniform(0.04, 0.12) for _ in "12")
    if kit.chance.random() < 0.5:
        return crop(photo, (one, 0, 1 - other, 1))
    return crop(photo, (0, one, 1, 1 - other))


def mirror_cropped(photo: Image.Image, kit: Kit) -> Image.Image:
    return crop_anywhere(ImageOps.mirror(photo), kit, 0.05, 0.2)


def angle(chance: random.Random) -> float:
    return chance.choice((-1, 1)) * chance.uniform(1, 15)


def tilt_filled(photo: Image.Image, kit: Kit) -> Image.Image:
    colour = kit.chance.choice(("black", "white", "grey"))
    return photo.rotate(angle(kit.chance), BICUBIC, fillcolor=colour)


def tilt_expanded(photo: Image.Image, kit: Kit) -> Image.Image:
    colour = kit.chance.choice(("black", "white"))
    return photo.rotate(angle(kit.chance), BICUBIC, expand=True, fillcolor=colour)


def tilt_cropped(photo: Image.Image, kit: Kit) -> Image.Image:
    """The largest upright rectangle of the photo's shape that lies inside the turned one."""
    degrees = angle(kit.chance)
    width, height = photo.size
    sine, cosine = abs(np.sin(np.radians(degrees))), np.cos(np.radians(degrees))
    scale = min(
        width / (width * cosine + height * sine), height / (width * sine + height * cosine)
    )
    turned = photo.rotate(degrees, BICUBIC)
    off = (1 - scale) / 2
    return crop(turned, (off, off, 1 - off, 1 - off))


def tilt_mirrored(photo: Image.Image, kit: Kit) -> Image.Image:
    return tilt_cropped(ImageOps.mirror(photo), kit)


def orientation(photo: Image.Image, kit: Kit) -> Image.Image:
    return photo.transpose(kit.chance.choice(ORIENTATIONS))


def orientation_cropped(photo: Image.Image, kit: Kit) -> Image.Image:
    return crop_anywhere(orientation(photo, kit), kit, 0.03, 0.12)


def orientation_tilted(photo: Image.Image, kit: Kit) -> Image.Image:
    return tilt_filled(orientation(photo, kit), kit)


def exif_orientation(photo: Image.Image, kit: Kit) -> Saved:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = photo.transpose(Image.Transpose.ROTATE_90)
    return Saved(turned, ".jpg", {"quality": 90, "exif": exif})


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
    chance, gap = kit.chance, kit.chance.choice((0, 4, 8))
    columns, rows = chance.choice(((2, 1), (1, 2), (2, 2)))
    sheet = Image.new(
        "RGB",
        (columns * (photo.width + gap) + gap, rows * (photo.height + gap) + gap),
        chance.choice(("white", "black")),
    )
    cells = [photo] + [ImageOps.fit(kit.other(), photo.size) for _ in range(columns * rows - 1)]
    chance.shuffle(cells)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        sheet.paste(cell, (gap + column * (photo.width + gap), gap + row * (photo.height + gap)))
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
    place = (chance.randint(0, max(photo.width - side, 0)), chance.randint(0, max(photo.height - side, 0)))
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


def perspective(photo: Image.Image, kit: Kit) -> Image.Image:
    """Each corner moves inwards by up to 8% of the sides."""
    width, height = photo.size
    x, y = ([kit.chance.uniform(0, 0.08) * side for _ in range(4)] for side in (width, height))
    corners = (x[0], y[0], x[1], height - y[1], width - x[2], height - y[2], width - x[3], y[3])
    return photo.transform(photo.size, Image.Transform.QUAD, corners, BICUBIC)


def sepia(photo: Image.Image, kit: Kit) -> Image.Image:
    return ImageOps.colorize(photo.convert("L"), "#1e1206", "#fff2d8", "#a5814f")


def grey(photo: Image.Image, kit: Kit) -> Image.Image:
    return photo.convert("L")


def duotone(photo: Image.Image, kit: Kit) -> Image.Image:
    dark = kit.chance.choice(("#10104a", "#3a0030", "#003030"))
    return ImageOps.colorize(photo.convert("L"), dark, kit.chance.choice(("#ffd9a0", "#c8ffe0")))


def stretch(photo: Image.Image, kit: Kit) -> Image.Image:
    factor = kit.chance.uniform(1.05, 1.25) ** kit.chance.choice((-1, 1))
    return photo.resize((round(photo.width * factor), photo.height), BICUBIC)


def posterise(photo: Image.Image, kit: Kit) -> Image.Image:
    return ImageOps.posterize(photo, kit.chance.choice((2, 3)))


def palette(photo: Image.Image, kit: Kit) -> Saved:
    return Saved(photo.quantize(kit.chance.choice((32, 128, 256)), dither=Image.Dither.NONE), ".gif")


def palette_dithered(photo: Image.Image, kit: Kit) -> Saved:
    web = photo.convert("P", palette=Image.Palette.WEB, dither=Image.Dither.FLOYDSTEINBERG)
    return Saved(web, ".gif")


def thumbnail(photo: Image.Image, kit: Kit) -> Image.Image:
    return fitted(photo, *[kit.chance.choice((64, 80, 96, 128))] * 2)


def resize(photo: Image.Image, kit: Kit) -> Image.Image:
    factor = kit.chance.uniform(0.3, 0.9)
    size = (round(photo.width * factor), round(photo.height * factor))
    return photo.resize(size, Image.Resampling.LANCZOS)


def upscale(photo: Image.Image, kit: Kit) -> Image.Image:
    factor = kit.chance.uniform(1.5, 2)
    return photo.resize((round(photo.width * factor), round(photo.height * factor)), BICUBIC)


def jpeg_poor(photo: Image.Image, kit: Kit) -> Saved:
    return Saved(photo, ".jpg", {"quality": kit.chance.randint(10, 30)})


def jpeg(photo: Image.Image, kit: Kit) -> Saved:
    return Saved(photo, ".jpg", {"quality": kit.chance.randint(40, 95)})


def webp(photo: Image.Image, kit: Kit) -> Saved:
    return Saved(photo, ".webp", {"quality": kit.chance.randint(30, 90)})


def avif(photo: Image.Image, kit: Kit) -> Saved:
    return Saved(photo, ".avif", {"quality": kit.chance.randint(35, 80), "speed": 9})


def png(photo: Image.Image, kit: Kit) -> Saved:
    return Saved(photo, ".png")


def brightness(photo: Image.Image, kit: Kit) -> Image.Image:
    return ImageEnhance.Brightness(photo).enhance(
        kit.chance.choice((kit.chance.uniform(0.6, 0.85), kit.chance.uniform(1.15, 1.45)))
    )


def contrast(photo: Image.Image, kit: Kit) -> Image.Image:
    return ImageEnhance.Contrast(photo).enhance(
        kit.chance.choice((kit.chance.uniform(0.5, 0.8), kit.chance.uniform(1.2, 1.6)))
    )


def saturation(photo: Image.Image, kit: Kit) -> Image.Image:
    return ImageEnhance.Color(photo).enhance(kit.chance.choice((0.3, 0.5, 1.6, 2)))


def gamma(photo: Image.Image, kit: Kit) -> Image.Image:
    power = kit.chance.choice((0.6, 0.75, 1.35, 1.7))
    return photo.point([round(255 * (level / 255) ** power) for level in range(256)] * 3)


def white_balance(photo: Image.Image, kit: Kit) -> Image.Image:
    gains = kit.chance.choice(((1.2, 1.0, 0.8), (0.82, 1.0, 1.18), (1.0, 1.12, 0.9)))
    return photo.point([min(round(gain * level), 255) for gain in gains for level in range(256)])


def hue(photo: Image.Image, kit: Kit) -> Image.Image:
    """Turned by 12 to 32 degrees."""
    bands = photo.convert("HSV").split()
    shift = kit.chance.choice((-1, 1)) * kit.chance.randint(8, 23)
    turned = bands[0].point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, *bands[1:])).convert("RGB")


def blur(photo: Image.Image, kit: Kit) -> Image.Image:
    share = kit.chance.uniform(0.002, 0.005)
    return photo.filter(ImageFilter.GaussianBlur(share * max(photo.size)))


def noise(photo: Image.Image, kit: Kit) -> Image.Image:
    grain = np.random.default_rng(kit.chance.getrandbits(32))
    strength = kit.chance.uniform(6, 16)
    noisy = np.asarray(photo) + grain.normal(0, strength, (*photo.size[::-1], 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def sharpen(photo: Image.Image, kit: Kit) -> Image.Image:
    return photo.filter(ImageFilter.UnsharpMask(2, kit.chance.randint(80, 200), 2))


def watermark_tiled(photo: Image.Image, kit: Kit) -> Image.Image:
    layer = Image.new("L", photo.size, 0)
    pen, step = ImageDraw.Draw(layer), max(photo.width // kit.chance.randint(3, 4), 40)
    font, text = kit.font(step / 5), kit.chance.choice(("preview", "© studio", "SAMPLE"))
    for top in range(0, photo.height, step // 2):
        for left in range(-(top % step), photo.width, step):
            pen.text((left, top), text, font=font, fill=kit.chance.randint(70, 130))
    return Image.composite(Image.new("RGB", photo.size, "white"), photo, layer)


def watermark_corner(photo: Image.Image, kit: Kit) -> Image.Image:
    layer, text = Image.new("L", photo.size, 0), kit.chance.choice(("© M. Lind", "stockpix.example"))
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
    ramp = ImageOps.colorize(Image.linear_gradient("L"), *kit.chance.sample(COLOURS, 2))
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
    made.paste("#555555", (edge + edge // 3, edge + edge // 3, *(side + edge + edge // 3 for side in photo.size)))
    made = made.filter(ImageFilter.GaussianBlur(edge / 4))
    made.paste(photo, (edge, edge))
    return made


def dust(photo: Image.Image, kit: Kit) -> Image.Image:
    """Specks and long scratches, as on a scanned print."""
    chance, layer = kit.chance, Image.new("L", photo.size, 0)
    pen, (width, height) = ImageDraw.Draw(layer), photo.size
    for _ in range(chance.randint(40, 150)):
        x, y, size = chance.randrange(width), chance.randrange(height), chance.uniform(0.5, 2.5)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=chance.randint(90, 230))
    for _ in range(chance.randint(2, 6)):
        x = chance.randrange(width)
        pen.line((x, 0, x + chance.randint(-30, 30), height), fill=chance.randint(80, 200))
    return Image.composite(Image.new("RGB", photo.size, "white"), photo, layer)


def vignette(photo: Image.Image, kit: Kit) -> Image.Image:
    dark = Image.radial_gradient("L").resize(photo.size).point([level // 2 for level in range(256)])
    return ImageChops.subtract(photo, Image.merge("RGB", (dark,) * 3))


def _version(edit: Edit, *, chained: bool = False) -> Kind:
    return Kind(edit, "edited version", chained)


def _same(edit: Edit, *, chained: bool = False) -> Kind:
    return Kind(edit, "same image", chained)


KINDS: dict[str, Kind] = {
    "mirrored and cropped": _version(mirror_cropped),
    "tilt, filled": _version(tilt_filled, chained=True),
    "tilt, cropped": _version(tilt_cropped, chained=True),
    "tilt, expanded": _version(tilt_expanded),
    "tilt, mirrored": _version(tilt_mirrored),
    "orientation": _same(orientation, chained=True),
    "orientation and crop": _version(orientation_cropped),
    "orientation and tilt": _version(orientation_tilted),
    "exif orientation": _same(exif_orientation),
    "phone screenshot": _version(screenshot_phone),
    "desktop screenshot": _version(screenshot_desktop),
    "collage": _version(collage),
    "meme bar": _version(meme),
    "caption inside": _version(caption_inside),
    "sticker": _version(sticker, chained=True),
    "logo": _version(logo, chained=True),
    "perspective": _version(perspective),
    "crop, one side": _version(crop_one_side, chained=True),
    "crop, two sides": _version(crop_two_sides, chained=True),
    "crop, all sides": _version(lambda photo, kit: crop_anywhere(photo, kit, 0.05, 0.25)),
    "sepia": _version(sepia, chained=True),
    "grey": _version(grey),
    "duotone": _version(duotone),
    "stretch": _version(stretch, chained=True),
    "posterise": _version(posterise),
    "palette": _same(palette),
    "palette, dithered": _same(palette_dithered),
    "thumbnail": _same(thumbnail),
    "resize": _same(resize, chained=True),
    "upscale": _same(upscale, chained=True),
    "jpeg, poor": _same(jpeg_poor),
    "jpeg": _same(jpeg),
    "webp": _same(webp),
    "avif": _same(avif),
    "png": Kind(png, "exact"),
    "brightness": _version(brightness, chained=True),
    "contrast": _version(contrast, chained=True),
    "saturation": _version(saturation, chained=True),
    "gamma": _version(gamma),
    "white balance": _version(white_balance, chained=True),
    "hue": _version(hue),
    "blur": _same(blur, chained=True),
    "noise": _same(noise, chained=True),
    "sharpen": _same(sharpen),
    "watermark, tiled": _version(watermark_tiled, chained=True),
    "watermark, corner": _version(watermark_corner),
    "frame, flat": _version(frame_flat, chained=True),
    "frame, gradient": _version(frame_gradient),
    "polaroid": _version(polaroid),
    "rounded corners": _version(rounded),
    "drop shadow": _version(shadow),
    "dust": _version(dust),
    "vignette": _version(vignette),
}


def chain(chance: random.Random) -> Kind:
    """Two or three edits of KINDS, in any order."""
    names = [name for name, kind in KINDS.items() if kind.chained]
    return chain_of(KINDS, chance.sample(names, chance.choice((2, 2, 3))))
