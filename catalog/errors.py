"""What can go wrong in the catalogue.

CatalogueError
├── CatalogueRefused        what was asked cannot be; the person can mend the request
│   ├── NotKnown            no such individual, sighting, event, import, identification
│   ├── NameRefused         empty, too long, control characters, or taken by another individual
│   ├── ValueRefused        a coordinate, date, species or other fact that cannot be
│   └── EditConflict        the edit or undo contradicts what stands; the message names it
├── CatalogueNewer          the data folder was written by a newer Flukeprint
├── CatalogueUnavailable    the folder is absent, read-only, full, locked or not a catalogue; or the server is
│   └── CatalogueMissing        there is none, and it was not to be made
└── PhotoStoreFailed        a photo file could not be written, or is not what its hash says
"""

from __future__ import annotations

from errors import FlukeprintError


class CatalogueError(FlukeprintError):
    """The catalogue could not do what it was asked."""


class CatalogueRefused(CatalogueError):
    """What was asked cannot be; nothing was changed."""


class NotKnown(CatalogueRefused):
    """No such individual, sighting, event or other row."""


class NameRefused(CatalogueRefused):
    """A name that is empty, too long, unprintable, or taken."""


class ValueRefused(CatalogueRefused):
    """A coordinate, date, species or other fact that cannot be."""


class EditConflict(CatalogueRefused):
    """The edit or undo contradicts what stands now; the message names the events."""


class CatalogueNewer(CatalogueError):
    """The data folder was written by a newer Flukeprint."""


class CatalogueUnavailable(CatalogueError):
    """The folder is absent, read-only, full, locked, or not a catalogue."""


class CatalogueMissing(CatalogueUnavailable):
    """There is no catalogue, or only an empty database, where one was to be opened and not made."""


class PhotoStoreFailed(CatalogueError):
    """A photo file could not be written, or is not what its hash says."""
