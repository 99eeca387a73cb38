"""Names that a user has given to models of their own.

They are kept in one JSON file for all stores, `~/.config/mmsearch/models.json` unless
XDG_CONFIG_HOME is set.
"""

import json
import os
from pathlib import Path

from mmsearch.errors import ConfigError
from mmsearch.files import write_atomically
from mmsearch.records import printable_path


def own_models_file() -> Path:
    """Returns the path of the file, which need not exist."""
    configuration = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(configuration).expanduser() / "mmsearch" / "models.json"


def own_models() -> dict[str, str]:
    """Returns the location of each model by name. Raises ConfigError where the file is damaged."""
    path = own_models_file()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{printable_path(path)} cannot be read ({error}); correct it") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{printable_path(path)} must hold a JSON object of names and locations")
    return {str(name): str(location) for name, location in content.items()}


def save_own_models(models: dict[str, str]) -> None:
    """Replaces the file. Raises OSError."""
    path = own_models_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(models, indent=2, ensure_ascii=False) + "\n")
