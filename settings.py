"""The one reader of the environment: every key is `FLUKEPRINT_` and the field's name in capitals.

With no key set, Flukeprint runs on one machine: SQLite, Qdrant Edge and a photo folder below `data_dir`. By keys alone
the same code uses another database or a Qdrant server. A key that is not known is refused, with the nearest that is:
a typing error must not silently run on defaults. What `flukeprint tune` has measured stands in `tuned.toml` in the data folder;
the environment wins over it.
"""

from __future__ import annotations

import difflib
import getpass
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from errors import FlukeprintError

PREFIX = "FLUKEPRINT_"
TUNED_FILE = "tuned.toml"  # in the data folder
WAIT_A_CORE = 3  # with one a core, 25 of 554 requests at half the capacity were refused
TUNED = ("streams", "threads", "batch", "queue", "hnsw_above")  # what may stand in it
IGNORED = f"{PREFIX}TEST_"  # the tests' own keys
ROOT = Path(__file__).resolve().parent
SecondOpinion = Literal["auto", "on", "off"]


class SettingsRefused(FlukeprintError):
    """A key that is not known, or a value that does not fit; the message names both."""


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container's user without one
        return Path()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return False
    return True


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Field(_home() / "flukeprint", description="Where everything is kept: catalogue, photos, index.")
    user: str = Field(default_factory=_login, description="Who stands in the log as having made a change.")

    database_url: str | None = Field(
        None, description="SQLAlchemy address of the catalogue; unset: `catalogue.db` in `data_dir`."
    )
    full_sync: bool = Field(
        True, description="Wait for the disk at every commit, so that a power cut loses nothing acknowledged."
    )

    bundle: Path | None = Field(
        None,
        description="Folder of the encoder bundle. Unset: the catalogue's own, else the one that Flukeprint ships.",
    )
    runtime: Literal["onnxruntime", "openvino"] = Field("onnxruntime", description="What runs the encoder.")
    streams: int = Field(
        default_factory=cores,
        ge=1,
        le=256,
        description="Photos encoded at once in bulk work, each on one core; unset: the number of cores.",
    )
    threads: int = Field(1, ge=1, le=256, description="Threads that the encoding of one photo, or one batch, may use.")
    batch: int = Field(
        1,
        ge=1,
        le=256,
        description="Photos encoded in one call where so many wait at once; pays on few devices (`flukeprint tune`).",
    )
    max_photo_bytes: int = Field(100_000_000, ge=1_000, description="A larger photo file is refused unread.")
    max_photo_pixels: int = Field(
        200_000_000, ge=1_000, description="A photo of more pixels is refused by its header, undecoded."
    )

    keep_photos: Literal["original", "reduced", "reference"] = Field(
        "original",
        description="How photos are kept: as they came, reduced to `photo_long_side`, or by their path alone.",
    )
    photo_long_side: int = Field(2048, ge=256, le=20_000, description="Long side in pixels of photos that are kept reduced.")

    codes_above: int | None = Field(
        None, ge=0, description="Search by 2-bit codes, the best compared whole, above this many sightings; unset: as measured."
    )
    hnsw_above: int | None = Field(
        None, ge=0, description="Build the search graph above this many sightings; unset: as measured."
    )
    new_share: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="The share of photographed animals that you expect to be new; probabilities are stated for it.",
    )
    second_opinion: SecondOpinion = Field(
        "auto",
        description="Compare the nearest sightings point by point: `auto` where `flukeprint second-opinion` has measured that "
        "it helps, `on` always, followed where it helps, `off` never.",
    )

    qdrant_url: str | None = Field(None, description="Address of a Qdrant server; unset: Qdrant Edge in a process of its own.")
    qdrant_api_key: str | None = Field(None, description="The Qdrant server's key.", repr=False)
    qdrant_api_key_file: Path | None = Field(None, description="A file that holds the Qdrant server's key, instead of it.")
    qdrant_grpc: bool = Field(False, description="Speak gRPC to the Qdrant server instead of REST (not proven by our tests).")
    qdrant_timeout_s: int = Field(30, gt=0, description="How long one call to the Qdrant server may take.")
    qdrant_retries: int = Field(4, ge=0, le=20, description="How often a call that failed for the moment is tried again.")
    qdrant_shards: int | None = Field(None, ge=1, description="Shards of a new collection; unset: the server's own choice.")
    qdrant_replicas: int | None = Field(
        None, ge=1, description="Copies of each shard of a new collection; unset: the server's own."
    )
    qdrant_quantization: Literal["none", "int8", "binary"] = Field("none", description="Quantise vectors in a new collection.")
    qdrant_on_disk: bool = Field(False, description="Keep a new collection's vectors on disk instead of in memory.")

    host: str = Field(
        "127.0.0.1", description="The address that the service listens on; any but this machine's own needs a key."
    )
    port: int = Field(8000, ge=0, le=65_535, description="The port that the service listens on; 0 takes any that is free.")
    queue: int = Field(
        default_factory=lambda: WAIT_A_CORE * cores(),
        ge=0,
        le=10_000,
        description="Requests that may wait before the encoder in a burst, and a third of them once no thread has been free "
        "for half a second; one more is answered 429. Unset: three a core.",
    )
    requests_per_minute: int = Field(
        600, ge=0, description="How often one key, and one address, may ask the service in a minute; 0 does not count."
    )
    max_request_bytes: int = Field(120_000_000, ge=10_000, description="A larger request is refused; archives have their own.")
    max_photos: int = Field(64, ge=1, le=1_000, description="Photos in one request; more go as a batch.")
    max_archive_bytes: int = Field(4_000_000_000, ge=10_000, description="A larger ZIP archive, or batch of files, is refused.")
    max_archive_entries: int = Field(20_000, ge=1, le=1_000_000, description="Files in one ZIP archive.")
    max_archive_ratio: int = Field(100, ge=2, description="How many times its size a file in a ZIP archive may unpack to.")
    max_unpacked_bytes: int = Field(20_000_000_000, ge=10_000, description="What all files of a ZIP archive may unpack to.")
    body_timeout_s: int = Field(
        120, ge=1, description="How long a client may take to send a request, but for an archive: tenfold."
    )
    header_timeout_s: int = Field(20, ge=1, description="How long a client may take to send a request's headers.")
    leave_within_s: int = Field(25, ge=1, description="After SIGTERM: how long what was begun may take to end.")
    allowed_hosts: str | None = Field(
        None,
        description="Host names that the service answers to beside this machine's own, with commas; unset: on this machine's "
        "own address its own alone, on another all.",
    )
    trusted_proxies: str | None = Field(
        None,
        description="IP addresses or networks of proxies, with commas, whose X-Forwarded-For says who asks; unset: none is "
        "believed, and all who come through a proxy share its rate.",
    )
    cors_origins: str | None = Field(
        None, description="Web origins that may call the service, each by name, with commas; unset: none."
    )
    admin_key_file: Path | None = Field(
        None, description="A file that holds a first admin key, of 32 characters or more: a secret of the deployment."
    )
    mask_model: Path | None = Field(
        None,
        description="The model file for removing backgrounds (`make mask-model`); unset: `models/u2netp.onnx` in `data_dir`.",
    )
    metrics_every_s: float = Field(
        30,
        gt=0,
        le=300,
        description="Seconds between two looks of the service at its catalogue, drift and calibration for `/metrics`.",
    )
    metrics_dir: Path | None = Field(
        None,
        description="A folder in which several service processes of one machine count together, empty before the first starts; "
        "unset: each counts for itself.",
    )
    traces_url: str | None = Field(
        None, description="Where OpenTelemetry traces are sent, by OTLP over HTTP (extra `otel`); unset: nowhere."
    )
    log_format: Literal["text", "json"] = Field("text", description="How the service's log lines look.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="From which weight on lines are logged."
    )

    @field_validator("cors_origins")
    @classmethod
    def _by_name(cls, given: str | None) -> str | None:
        """Every page of the world (`*`) is none: it could ask in the name of whoever looks at it."""
        for one in given.split(",") if given else ():
            if "*" in one or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+/?", one.strip(), re.IGNORECASE):
                raise PydanticCustomError(
                    "origins", "expected origins such as https://app.example, each by name, with commas between"
                )
        return given

    @field_validator("allowed_hosts")
    @classmethod
    def _by_host(cls, given: str | None) -> str | None:
        """What never is a request's Host, such as `*`, would let nobody in, and only the first request would say so."""
        for one in given.split(",") if given else ():
            if not (re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", one.strip(), re.IGNORECASE) or _is_address(one)):
                raise PydanticCustomError(
                    "hosts", "expected host names such as whales.example, without scheme and port, with commas between"
                )
        return given

    @field_validator("trusted_proxies")
    @classmethod
    def _by_address(cls, given: str | None) -> str | None:
        """A name is compared with no address, so that nothing would be believed; of `*`, everybody."""
        for one in given.split(",") if given else ():
            try:
                ipaddress.ip_network(one.strip())
            except ValueError:
                raise PydanticCustomError(
                    "proxies", "expected IP addresses or networks such as 10.0.0.7 or 10.0.0.0/24, with commas between"
                ) from None
        return given

    @field_validator("user")
    @classmethod
    def _somebody(cls, given: str) -> str:
        if not given.strip():
            raise PydanticCustomError("user", "expected a name, which stands in the log")
        return given

    @field_validator("traces_url")
    @classmethod
    def _by_http(cls, given: str | None) -> str | None:
        if given is not None and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", given):
            raise PydanticCustomError("traces", "expected an address such as http://collector:4318/v1/traces")
        return given

    @property
    def catalogue(self) -> str | Path:
        """Where the catalogue is: an address that was set, else a file."""
        return self.database_url or self.data_dir / "catalogue.db"

    def qdrant_key(self) -> str | None:
        """The key, or what its file holds."""
        if self.qdrant_api_key_file is None:
            return self.qdrant_api_key
        return secret_in(self.qdrant_api_key_file, "QDRANT_API_KEY_FILE")


def secret_in(file: Path, name: str) -> str:
    """What a secret file holds, without the line's end; `name` is the setting that names it."""
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsRefused(
            f"{PREFIX}{name} names {file}, which cannot be read: {why}. Mend the path or the file."
        ) from error
    if not text:
        raise SettingsRefused(f"{PREFIX}{name} names {file}, which is empty: write the secret into it.")
    return text


def read_tuned(data_dir: Path) -> dict[str, object]:
    """What `flukeprint tune` has written for this machine; nothing where it was for one with another number of cores."""
    file = data_dir / TUNED_FILE
    mend = f"Mend it, remove it, or write it anew: flukeprint tune --data-dir {data_dir}"
    try:
        said = tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise SettingsRefused(f"{file} cannot be read: {error}. {mend}") from error
    for name in said:
        if name not in (*TUNED, "cores"):
            raise SettingsRefused(f'{file} sets "{name}"; expected are only {", ".join(TUNED)}. {mend}')
    if said.pop("cores", None) != cores():
        return {}
    try:
        Settings.model_validate({**said, "data_dir": data_dir})
    except ValidationError as error:
        wrong = error.errors()[0]
        raise SettingsRefused(f"{file} sets {wrong['loc'][0]} = {wrong['input']!r}: {wrong['msg']}. {mend}") from error
    return said


def read_settings(environ: Mapping[str, str] | None = None, *, tuned: bool = True, **given: object) -> Settings:
    """The settings of the environment, with what a command line gave on top, and under both what was tuned for this machine.

    >>> read_settings(data_dir="/tmp/whales").data_dir
    PosixPath('/tmp/whales')
    """
    environ = os.environ if environ is None else environ
    known = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    for key in environ:
        if key.startswith(PREFIX) and not key.startswith(IGNORED) and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see docs/settings.md for the keys there are."
            raise SettingsRefused(f"{key} is set, but is no setting of Flukeprint: {hint}")
    values: dict[str, object] = {name: environ[key] for key, name in known.items() if environ.get(key, "") != ""}
    values |= {name: value for name, value in given.items() if value is not None}
    folder = Path(str(values.get("data_dir", Settings.model_fields["data_dir"].default))).expanduser().absolute()
    try:
        settings = Settings.model_validate((read_tuned(folder) if tuned else {}) | values)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0])
        raise SettingsRefused(f"{PREFIX}{name.upper()} is {wrong['input']!r}: {wrong['msg']}. See docs/settings.md.") from error
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})
