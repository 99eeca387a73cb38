"""Signs of a copy in the path of a file."""

import re
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Whole words of a file name in English, German, French, Spanish, Italian, Portuguese, Dutch,
# Polish, Swedish.
_COPY_WORDS: Final = _words(
    "copy copies kopie kopia kopio copie copia cópia kopi duplicate dup duplikat backup bak"
)
_EDIT_WORDS: Final = _words(
    "edit edited edits bearbeitet modifié modifie editado editada modificato bewerkt "
    "redigerad cropped crop final retouched retusche export exported resized compressed "
    "optimized scaled upscaled enhanced filtered collage meme"
)
_SMALL_WORDS: Final = _words(
    "thumb thumbs thumbnail thumbnails small tiny preview vorschau klein miniature "
    "miniatura vignette web lowres icon mini"
)
_SHOT_WORDS: Final = _words(
    "screenshot screenshots bildschirmfoto screen-shot capture zrzut captura schermata"
)
_MESSENGERS: Final = _words(
    "whatsapp telegram signal messenger wechat weixin viber line threema facebook "
    "instagram snapchat discord slack skype twitter received sent"
)
_PLACES: Final = _words(
    "downloads download desktop tmp temp cache export exports edited thumbnails thumbs "
    "schreibtisch téléchargements descargas scaricati saved attachments"
)
_NUMBERED = re.compile(r"(\(\d{1,3}\)|[ _-]copy[ _-]?\d*|~\d{1,2})$", re.IGNORECASE)
# Names given by messengers and social networks.
_SENT = re.compile(r"^(IMG-\d{8}-WA\d+|photo_\d{4}-\d\d-\d\d|signal-\d{4}|FB_IMG_|received_\d+)")
_SIZED = re.compile(r"(^|[^0-9])\d{2,4}x\d{2,4}([^0-9]|$)|@\dx|[-_]\d{3,4}(px|w)\b")
_CAMERA = re.compile(
    r"^(_?DSC[FN_]?\d|IMG_\d|_?MG_\d|P\d{7}|PXL_\d|DJI_\d|GOPR\d|SAM_\d|CIMG\d|\d{8}_\d{6}|"
    r"R\d{7}|KIF_\d|IMGP\d|PICT\d)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:-shot)?")


def copy_hints(path: str) -> int:
    """Number of signs of a copy in the path: 0 for none, -1 for a camera's own name."""
    *folders, name = path.replace("\\", "/").split("/")
    stem = name.rsplit(".", 1)[0]
    words = {word.lower() for word in _WORD.findall(stem)}
    # Only the nearest folders describe the file.
    around = {word.lower() for folder in folders[-3:] for word in _WORD.findall(folder)}
    hints = sum(
        bool(words & vocabulary)
        for vocabulary in (_COPY_WORDS, _EDIT_WORDS, _SMALL_WORDS, _SHOT_WORDS, _MESSENGERS)
    )
    hints += bool(_NUMBERED.search(stem)) + bool(_SIZED.search(stem))
    # Messengers compress all that they send, so their names say more than others.
    hints += 2 * bool(_SENT.match(stem))
    hints += bool(around & (_MESSENGERS | _PLACES | _SMALL_WORDS | _SHOT_WORDS | _COPY_WORDS))
    return -1 if not hints and _CAMERA.match(stem) else hints
