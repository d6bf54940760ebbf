"""Settings, read once: from the environment and ``.env``, grouped by owner.

``TELEGRAM_BOT_TOKEN`` fills ``settings.telegram.bot_token``: the first word is the group. A provider
without settings is off. The sandbox builds :class:`Settings` from its own values and reads neither.
"""

import re
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUseDefault
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from getpro.kit.clock import DEFAULT_ZONE

Network = IPv4Network | IPv6Network
TELEGRAM_PATH: Final = "/webhooks/telegram"
"""Below ``PUBLIC_URL``: where Telegram brings updates."""


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("нужен адрес вида https://shop.example")
    return value.rstrip("/")


def _origin(value: str) -> str:
    if urlsplit(value).path:
        raise ValueError("нужен адрес без пути, вида https://shop.example")
    return value


def _proxy(value: str) -> str:
    try:
        return _address(value)
    except ValueError:
        raise ValueError("нужен адрес вида http://proxy.example:3128") from None


def _host(value: str) -> str:
    if value != "localhost":
        try:
            ip_address(value)
        except ValueError:
            raise ValueError("нужен адрес этой машины, обычно 127.0.0.1") from None
    return value


def _not_everybody(networks: "list[Network]") -> "list[Network]":
    """Who believes everybody believes whatever a stranger writes into X-Forwarded-For."""
    for network in networks:
        if network.prefixlen == 0:
            raise ValueError(f"{network} значит верить всем, а нужен адрес вашего прокси")
    return networks


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"часового пояса {value!r} нет") from error
    return value


Address = Annotated[str, BeforeValidator(_address)]
Origin = Annotated[Address, AfterValidator(_origin)]
Zone = Annotated[str, AfterValidator(_zone)]
Proxy = Annotated[str, AfterValidator(_proxy)]
Host = Annotated[str, AfterValidator(_host)]
Networks = Annotated[list[Network], NoDecode, BeforeValidator(_split)]
Proxies = Annotated[Networks, AfterValidator(_not_everybody)]
Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
Ports = Annotated[list[Annotated[int, Field(gt=0, le=65535)]], NoDecode, BeforeValidator(_split)]
Ids = Annotated[list[Annotated[int, Field(gt=0)]], NoDecode, BeforeValidator(_split)]

YOOKASSA_NETWORKS = [
    ip_network(network)
    for network in (
        "185.71.76.0/27",
        "185.71.77.0/27",
        "77.75.153.0/25",
        "77.75.154.128/25",
        "77.75.156.11/32",
        "77.75.156.35/32",
        "2a02:5180::/32",
    )
]
"""Where YooKassa's notices come from: its documentation, "Входящие уведомления"."""


def _text(pattern: str, wanted: str) -> AfterValidator:
    """A text of this form; ``wanted`` is said about another one."""

    def check(value: str) -> str:
        if re.fullmatch(pattern, value, re.ASCII) is None:
            raise ValueError(wanted)
        return value

    return AfterValidator(check)


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, given: Any) -> Any:
        """A secret of spaces would be one that anybody can guess."""
        if not isinstance(given, dict):
            return given
        return {
            name: value for name, value in given.items() if not (isinstance(value, str) and not value.strip())
        }


def _secret(pattern: str, wanted: str) -> AfterValidator:
    """A secret of this form; what is said about another one is ``wanted``, never the secret."""

    def check(value: SecretStr) -> SecretStr:
        if re.fullmatch(pattern, value.get_secret_value(), re.ASCII) is None:
            raise ValueError(wanted)
        return value

    return AfterValidator(check)


Key = Annotated[SecretStr, _secret(r"[!-~]+", "нужны латинские буквы, цифры и знаки, без пробелов")]
"""What travels in a header as it stands."""
BotToken = Annotated[
    SecretStr, _secret(r"[0-9]+:[!-~]+", "нужен токен бота вида 123456:ABC, его даёт @BotFather")
]
CryptoPayToken = Annotated[
    SecretStr, _secret(r"[0-9]+:[!-~]+", "нужен токен приложения вида 12345:ABC, его даёт @CryptoBot")
]
WebhookSecret = Annotated[
    SecretStr, _secret(r"[A-Za-z0-9_-]{1,256}", "нужны латинские буквы, цифры, _ и -, до 256 знаков")
]
Cookie = Annotated[SecretStr, _secret(r"[\w.-]+=[!-:<-~]+", "нужно имя=значение, одно и без пробелов")]
PanelSecret = Annotated[
    SecretStr, _secret(r"[A-Za-z0-9]{32,}", "нужен тот же секрет, что на панели: от 32 латинских букв и цифр")
]
"""Source: the panel's own check of WEBHOOK_SECRET_HEADER."""
Dsn = Annotated[
    SecretStr,
    _secret(
        r"https?://[\w-]+(:[\w-]+)?@[\w.-]+(:[0-9]+)?(/[\w.-]+)*/[0-9]+", "нужен DSN вида https://ключ@host/1"
    ),
]
"""Source: https://develop.sentry.dev/sdk/overview/#parsing-the-dsn."""
_AGE_KEY: Final = r"AGE-SECRET-KEY-1[A-Z0-9]{58}"
DatabaseKeys = Annotated[
    SecretStr, _secret(rf"{_AGE_KEY}(,{_AGE_KEY})*", "нужны ключи через запятую, как в database.key")
]
ShopNumber = Annotated[str, _text(r"[0-9]+", "нужен номер магазина (shopId), одни цифры")]

MailServer = Annotated[
    SecretStr,
    _secret(
        r"smtp://([^\s:@/]+:[^\s@/]+@)?[\w.-]+:[0-9]+",
        "нужен адрес вида smtp://user:password@smtp.example:587; знаки : @ / % в пароле: %3A %40 %2F %25",
    ),
]
WatchdogUrl = Annotated[SecretStr, _secret(r"https?://[!-~]+", "нужен адрес вида https://hc-ping.com/uuid")]
Addresses = Annotated[
    SecretStr,
    _secret(
        r"[a-z0-9]+://[!-~]+( [a-z0-9]+://[!-~]+)*",
        "нужны адреса Apprise через пробел, как ntfys://ntfy.sh/ops",
    ),
]
Email = Annotated[str, _text(r"[^@\s]+@[^@\s]+\.[^@\s]+", "нужна почта вида receipts@shop.example")]
Coin = Annotated[str, _text(r"[A-Z0-9]{2,10}", "нужны монеты через запятую, как USDT,TON")]
Coins = Annotated[list[Coin], NoDecode, BeforeValidator(_split)]
Domain = Annotated[
    str,
    _text(r"[\w-]+(\.[\w-]+)+(:[0-9]{1,5})?", "нужны имена через запятую, как sub.example,vpn.example:8443"),
]
Domains = Annotated[list[Domain], NoDecode, BeforeValidator(_split)]
BucketName = Annotated[
    str, _text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "нужно имя бакета: от 3 строчных букв, цифр, точек и -")
]
Region = Annotated[str, _text(r"[A-Za-z0-9-]+", "нужен регион вида eu-central-1")]
KeyPrefix = Annotated[str, _text(r"[\w.-]+(/[\w.-]+)*", "нужна папка внутри бакета вида shops/my-vpn")]
Slug = Annotated[str, _text(r"[\w-]+", "нужно имя организации из адреса, как my-shop")]
Username = Annotated[str, _text(r"(@?\w{4,32})?", "нужно имя в Telegram вида @my_support")]


class TelegramSettings(Group):
    bot_token: BotToken
    api_url: Address = "https://api.telegram.org"
    proxy: Proxy | None = None
    webhook_secret: WebhookSecret = Field(default_factory=lambda: SecretStr(secrets.token_urlsafe(32)))
    """Telegram repeats it in every update. Without one, each start makes a new one and tells Telegram:
    set it when several processes serve the webhook."""

    @property
    def bot_id(self) -> int:
        """The bot's user id: the number before the token's colon."""
        return int(self.bot_token.get_secret_value().partition(":")[0])


class YooKassaSettings(Group):
    shop_id: ShopNumber
    secret_key: Key
    api_url: Address = "https://api.yookassa.ru/v3"
    proxy: Proxy | None = None
    networks: Networks = YOOKASSA_NETWORKS
    timeout_seconds: float = Field(default=15, gt=0, le=15)
    receipts: bool = False
    """Send the data of a 54-FZ receipt with each payment; the customer is asked for an e-mail once."""
    receipt_email: Email | None = None
    """Takes the receipts instead, so that nobody is asked."""
    vat_code: int = Field(default=1, ge=1, le=12)
    tax_system_code: int | None = Field(default=None, ge=1, le=6)


class CryptoPaySettings(Group):
    token: CryptoPayToken
    testnet: bool = False
    """The network without money of @CryptoTestnetBot, which has tokens of its own."""
    api_url: Address | None = None
    """Instead of the network's own address."""
    proxy: Proxy | None = None
    timeout_seconds: float = Field(default=15, gt=0, le=15)
    assets: Coins = []
    """The coins that are taken, like USDT,TON; none named: all that Crypto Pay knows."""


class StarsSettings(Group):
    enabled: bool = True


class PanelSettings(Group):
    url: Address
    token: Key
    proxy: Proxy | None = None
    cookie: Cookie | None = None
    """``name=value`` that a reverse proxy in front of the panel asks for."""
    api_key: Key | None = None
    """``X-Api-Key`` that a reverse proxy in front of the panel asks for."""
    webhook_secret: PanelSecret | None = None
    timeout_seconds: float = Field(default=15, gt=0, le=15)
    squads: Names = Field(default=["Default-Squad"], min_length=1)
    """Names or uuids of the internal squads that a customer is put into."""


class ShopSettings(Group):
    name: str = "2GETPRO VPN"
    trial_days: int = Field(default=3, ge=0, le=365)
    """0 switches the trial off."""
    traffic_limit_gb: int = Field(default=0, ge=0)
    """A month; 0 is unlimited."""
    device_limit: int = Field(default=3, ge=0)
    """0 leaves it to the panel."""
    support: Username = ""
    """The @username that answers customers."""
    operators: Ids = []
    """The Telegram ids of those who may give the bot an operator's commands; empty: nobody."""
    terms_url: Address | None = None
    return_url: Address = "https://t.me"
    """Where a payment page leads back to: https://t.me/<the bot's name>."""


class OperationsSettings(Group):
    chat: int | None = None
    """The operators' chat in Telegram: a group's id is negative. None: reports are kept and not sent."""
    prometheus_url: Address | None = None
    grafana_url: Address | None = None
    """Where people open Grafana: what the operators are told leads there."""
    alerts_token: Key | None = None
    """What Alertmanager shows at its door."""
    watchdog_url: WatchdogUrl | None = None
    """An outside service that raises the alarm when no sign has come for minutes: a secret."""
    heartbeat_url: WatchdogUrl | None = None
    """Another of its kind, or another check of the same: for the signs that the shop itself gives."""
    heartbeat_other: Addresses | None = None
    """Whom a second machine calls beside the chat when the shop is silent: addresses of Apprise's."""
    mail_to: Email | None = None
    """Whom Alertmanager itself writes when the gravest fires."""
    mail_server: MailServer | None = None
    """By which server: port 465 speaks TLS at once, any other after STARTTLS."""
    night_from: int = Field(default=23, ge=0, le=23)
    """From this hour on the least grave incidents wake nobody, until the other one."""
    night_until: int = Field(default=8, ge=0, le=23)
    """The same as the first: there is no night."""
    backups: Path | None = None
    """Where the copies of the database lie."""
    ports: Ports = [22, 80, 443]
    """What of this machine may be reached from outside."""
    firewall: Literal["here", "outside"] = "here"
    """Who looks at ports and firewall where the shop cannot see them; ``outside``: the operators do."""
    domains: Domains = []
    """Names with TLS beside the shop's own and the panel's, like sub.example or sub.example:8443."""
    services: Names = ["bot", "worker"]
    """The jobs that Prometheus must watch."""
    osv_url: Address | None = None
    """An advisory service that speaks OSV; None: the Python Package Index."""
    synthetic: bool = True
    """Make a synthetic purchase every half minute."""


class BackupSettings(Group):
    """Which copies of the database are kept, and who besides this machine can open them."""

    enabled: bool = True
    """Make a copy every night, and prove the newest every week."""
    recipients: Names = []
    """Public keys of age."""
    telegram_chat: int | None = None
    """The chat in Telegram where an owner keeps copies; a group's id is negative. None: nowhere."""
    keep_daily: int = Field(default=14, ge=1)
    keep_weekly: int = Field(default=8, ge=0)
    keep_monthly: int = Field(default=12, ge=0)
    keep_yearly: int = Field(default=3, ge=0)
    point_in_time: bool = True
    """Have the log flow into the folder as well, so that any moment can be gone back to."""
    window_days: int = Field(default=7, ge=1)
    """Any moment of so many days."""
    s3_bucket: BucketName | None = None
    """Where copies go off this machine, by the protocol S3. None: nowhere."""
    s3_endpoint: Address | None = None
    """None: Amazon's own, by the region."""
    s3_region: Region = "us-east-1"
    s3_prefix: KeyPrefix = "2getpro"
    """How all keys begin."""
    s3_access_key_id: Key | None = Field(default=None, validate_default=True)
    s3_secret_access_key: Key | None = Field(default=None, validate_default=True)
    s3_path_style: bool = True
    """The bucket stands in the path of the endpoint's address; if not, in its name. Amazon's: in the name."""
    s3_lock_days: int = Field(default=0, ge=0, le=3650)
    """For so long nobody can delete what was sent (Object Lock, COMPLIANCE); 0: no lock is asked for."""

    @field_validator("s3_access_key_id", "s3_secret_access_key")
    @classmethod
    def _goes_with_bucket(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("s3_bucket") is not None:
            raise ValueError("нужен вместе с BACKUP_S3_BUCKET")
        return value


class SentrySettings(Group):
    """A server that takes errors by Sentry's protocol: Bugsink, GlitchTip, Sentry's own."""

    dsn: Dsn | None = None
    """None: nothing is sent, and what would send it is not even loaded."""
    environment: str = "production"
    api_url: Address | None = None
    """Where its issues are asked for and looked at, instead of the DSN's own host."""
    api_token: Key | None = None
    organization: Slug | None = None
    """Of Sentry itself, whose issues are asked for by it. None: a Bugsink."""

    @property
    def project(self) -> str | None:
        """The project's number, which ends the DSN."""
        return None if self.dsn is None else self.dsn.get_secret_value().rpartition("/")[2]

    @property
    def address(self) -> str | None:
        """Where its pages and its API begin."""
        if self.api_url is not None or self.dsn is None:
            return self.api_url
        parts = urlsplit(self.dsn.get_secret_value())
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rpartition('/')[0]}"


def _required(group: type[Group]) -> list[str]:
    return [name for name, field in group.model_fields.items() if field.is_required()]


class DatabaseSettings(BaseSettings):
    """What a command needs that asks nothing but the database."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    database_url: SecretStr | None = None
    """Without it the product starts a PostgreSQL of its own in the data directory."""
    database_keys: DatabaseKeys | None = None
    """With the first of them customers' secrets in the tables are encrypted; any decrypts. None: they lie
    in the data directory."""
    data_dir: Path | None = Field(default=None, validation_alias="GETPRO_DATA_DIR")
    time_zone: Zone = Field(default=DEFAULT_ZONE, validation_alias="GETPRO_TIME_ZONE")

    @property
    def zone(self) -> ZoneInfo:
        """The operator's time zone: their day, and the screens' times."""
        return ZoneInfo(self.time_zone)


class CopySettings(DatabaseSettings):
    """What a command needs that copies the database and does nothing else."""

    # NoDecode: a variable called BACKUP belongs to somebody else, and is no JSON.
    operations: Annotated[OperationsSettings, NoDecode] = OperationsSettings()
    backup: Annotated[BackupSettings, NoDecode] = BackupSettings()


class WatcherSettings(DatabaseSettings):
    """What a second machine needs that looks whether the shop is alive: by the shop's own names."""

    public_url: Origin | None = None
    telegram: Annotated[TelegramSettings | None, NoDecode] = None
    operations: Annotated[OperationsSettings, NoDecode] = OperationsSettings()


class Settings(CopySettings):
    """Everything that the shop runs on."""

    log_dir: Path | None = Field(default=None, validation_alias="GETPRO_LOG_DIR")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", validation_alias="GETPRO_LOG_LEVEL"
    )
    listen_host: Host = Field(default="127.0.0.1", validation_alias="GETPRO_HOST")
    listen_port: int = Field(default=8080, ge=0, le=65535, validation_alias="GETPRO_PORT")
    metrics_host: Host = Field(default="127.0.0.1", validation_alias="GETPRO_METRICS_HOST")
    metrics_port: int | None = Field(default=None, ge=0, le=65535, validation_alias="GETPRO_METRICS_PORT")
    """Where Prometheus reads. None: 9464, of ``worker`` 9465; 0: whichever is free."""
    public_url: Origin | None = None
    """Where Telegram, providers and the panel reach this shop."""
    trusted_proxies: Proxies = []
    """Whose X-Forwarded-For is believed."""

    telegram: Annotated[TelegramSettings, NoDecode]
    yookassa: Annotated[YooKassaSettings | None, NoDecode] = None
    cryptopay: Annotated[CryptoPaySettings | None, NoDecode] = None
    stars: Annotated[StarsSettings, NoDecode] = StarsSettings()
    panel: Annotated[PanelSettings, NoDecode]
    shop: Annotated[ShopSettings, NoDecode] = ShopSettings()
    sentry: Annotated[SentrySettings, NoDecode] = SentrySettings()


GROUPS: Final = {
    "telegram": _required(TelegramSettings),
    "panel": _required(PanelSettings),
}
"""What each group must have, for a message that names it."""


class ReadableSettings(Settings):
    """What can be read of settings that may be wrong: a group that cannot is None, or as by default."""

    telegram: Annotated[TelegramSettings | None, NoDecode] = None  # type: ignore[assignment] # the whole point
    panel: Annotated[PanelSettings | None, NoDecode] = None  # type: ignore[assignment]

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_default(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticUseDefault from None


def _fields() -> dict[str, tuple[str, FieldInfo]]:
    """Every environment variable that the settings read: its group ("" for none) and its field."""
    found: dict[str, tuple[str, FieldInfo]] = {}
    for name, field in Settings.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        groups = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Group)]
        for group in groups:
            found |= {
                f"{name}_{inner}".upper(): (name, inside) for inner, inside in group.model_fields.items()
            }
        if not groups:
            found[str(field.validation_alias or name).upper()] = ("", field)
    return found


def variables() -> dict[str, str]:
    """Every environment variable that the settings read, and the group that it belongs to ("" for none)."""
    return {name: group for name, (group, _) in _fields().items()}


def require_form(name: str, value: str) -> None:
    """Raises ValidationError unless the setting ``name`` could have this value."""
    field = _fields()[name][1]
    # With the name in it: there must be something beside the type, and a field may have no more to say.
    TypeAdapter(Annotated[field.annotation, name, *field.metadata]).validate_python(value)
