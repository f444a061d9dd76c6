"""A command of Flukeprint as a person may paste it: on the data folder that is spoken of, quoted where it has to be."""

from __future__ import annotations

import shlex

from settings import Settings, read_settings


def to_paste(settings: Settings, *words: object) -> str:
    """The data folder is named unless it is the one that is looked at anyway.

    >>> to_paste(read_settings(), "show", "Old Notch")
    "flukeprint show 'Old Notch'"
    """
    told = [] if settings.data_dir == read_settings(tuned=False).data_dir else ["--data-dir", settings.data_dir]
    return shlex.join(map(str, ["flukeprint", *words, *told]))
