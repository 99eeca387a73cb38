"""Reads XMP, embedded or in a sidecar file, without entities and within bounds."""

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from mmsearch.media.metadata import values
from mmsearch.media.metadata.image_metadata import ImageMetadata

MAX_BYTES = 4 * 2**20
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_EXIF_EX = "{http://cipa.jp/exif/1.0/}"
_AUX = "{http://ns.adobe.com/exif/1.0/aux/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_IPTC = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"


class _NoDocumentType(ElementTree.TreeBuilder):
    """A builder that refuses document types, without which XML has no entities to expand."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError(f"XMP with the document type '{name}'")


def read_xmp(block: bytes) -> ImageMetadata:
    """Reads a packet of XMP. Raises ValueError or SyntaxError where it is damaged or too large."""
    if len(block) > MAX_BYTES:
        raise ValueError(f"{len(block):,} bytes of XMP, the limit is {MAX_BYTES:,}")
    parser = ElementTree.XMLParser(target=_NoDocumentType())  # noqa: S314 (entities are refused)
    # Some blocks are padded with zeros; in UTF-16 every other byte is one.
    parser.feed(block if b"\0" in block[:4] else block.rstrip(b"\0"))
    properties = _Properties(parser.close())
    taken = properties.first(f"{_EXIF}DateTimeOriginal", f"{_PHOTOSHOP}DateCreated")
    place = (f"{_PHOTOSHOP}City", f"{_PHOTOSHOP}State", f"{_PHOTOSHOP}Country")
    latitude, longitude = values.position(
        values.degrees(properties.first(f"{_EXIF}GPSLatitude")),
        values.degrees(properties.first(f"{_EXIF}GPSLongitude")),
    )
    return ImageMetadata(
        title=values.line(properties.first(f"{_DC}title", f"{_PHOTOSHOP}Headline")),
        description=values.line(
            properties.first(f"{_DC}description", f"{_IPTC}AltTextAccessibility"),
            most=values.MAX_DESCRIPTION,
        ),
        keywords=values.lines(properties.all(f"{_DC}subject")),
        creator=values.line("; ".join(properties.all(f"{_DC}creator"))),
        rating=values.stars(properties.first(f"{_XMP}Rating")),
        taken=values.moment(taken, properties.first(f"{_EXIF}OffsetTimeOriginal"))
        or values.moment(properties.first(f"{_XMP}CreateDate")),
        camera=values.device(properties.first(f"{_TIFF}Make"), properties.first(f"{_TIFF}Model")),
        lens=values.line(properties.first(f"{_EXIF_EX}LensModel", f"{_AUX}Lens")),
        place=values.line(", ".join(filter(None, map(properties.first, place)))),
        sublocation=values.line(properties.first(f"{_IPTC}Location")),
        altitude=_altitude(properties),
        latitude=latitude,
        longitude=longitude,
    )


class _Properties:
    """The properties of an RDF document, as attributes or as elements."""

    def __init__(self, root: ElementTree.Element) -> None:
        self._found: dict[str, list[str]] = {}
        rdf = root if root.tag == f"{_RDF}RDF" else root.find(f"{_RDF}RDF")
        for described in rdf if rdf is not None else ():
            for name, value in described.attrib.items():
                self._found.setdefault(name, []).append(value)
            for element in described:
                self._found.setdefault(element.tag, []).extend(_texts(element))

    def all(self, name: str) -> Sequence[str]:
        """Returns the values of a property, of a text in several languages the default first."""
        return self._found.get(name, ())

    def first(self, *names: str) -> str | None:
        """Returns the first value of the first of these properties that has one."""
        return next((value for name in names for value in self.all(name) if value.strip()), None)


def _texts(element: ElementTree.Element) -> Iterator[str]:
    items = list(element.iter(f"{_RDF}li"))
    if not items:
        yield element.text or ""
        return
    items.sort(key=lambda item: item.get(_LANGUAGE, "x-default") != "x-default")
    yield from (item.text or "" for item in items)


def _altitude(properties: _Properties) -> float | None:
    top, _, bottom = (properties.first(f"{_EXIF}GPSAltitude") or "").partition("/")
    try:
        metres = float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return None
    below = properties.first(f"{_EXIF}GPSAltitudeRef") == "1"
    return round(-metres if below else metres, 2) if abs(metres) < 1e6 else None
