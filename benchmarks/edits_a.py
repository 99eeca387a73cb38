"""Edited copies, generator A: the one to develop on. `edits_b` makes the same kinds otherwise.

Built on Pillow's own operations; sizes are shares of the photo's sides. What is laid around or over
a photo is in `layouts_a`.
"""

import random

import layouts_a
import numpy as np
from edited_copies import Edit, Kind, Kit, Saved, chain_of
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

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
    scale = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
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
    return Saved(
        photo.quantize(kit.chance.choice((32, 128, 256)), dither=Image.Dither.NONE), ".gif"
    )


def palette_dithered(photo: Image.Image, kit: Kit) -> Saved:
    web = photo.convert("P", palette=Image.Palette.WEB, dither=Image.Dither.FLOYDSTEINBERG)
    return Saved(web, ".gif")


def thumbnail(photo: Image.Image, kit: Kit) -> Image.Image:
    return layouts_a.fitted(photo, *[kit.chance.choice((64, 80, 96, 128))] * 2)


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
    "phone screenshot": _version(layouts_a.screenshot_phone),
    "desktop screenshot": _version(layouts_a.screenshot_desktop),
    "collage": _version(layouts_a.collage),
    "collage, cropped": _version(layouts_a.collage_cropped),
    "meme bar": _version(layouts_a.meme),
    "caption inside": _version(layouts_a.caption_inside),
    "sticker": _version(layouts_a.sticker, chained=True),
    "logo": _version(layouts_a.logo, chained=True),
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
    "watermark, tiled": _version(layouts_a.watermark_tiled, chained=True),
    "watermark, corner": _version(layouts_a.watermark_corner),
    "frame, flat": _version(layouts_a.frame_flat, chained=True),
    "frame, gradient": _version(layouts_a.frame_gradient),
    "polaroid": _version(layouts_a.polaroid),
    "rounded corners": _version(layouts_a.rounded),
    "drop shadow": _version(layouts_a.shadow),
    "dust": _version(dust),
    "vignette": _version(vignette),
}


def chain(chance: random.Random) -> Kind:
    """Two or three edits of KINDS, in any order."""
    names = [name for name, kind in KINDS.items() if kind.chained]
    return chain_of(KINDS, chance.sample(names, chance.choice((2, 2, 3))))
