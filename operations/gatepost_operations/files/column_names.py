"""The names that exports of common programs give to their columns, in several languages."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from gatepost_core.campaigns.row import MESSAGE_FIELDS, Field
from gatepost_core.commands import IN_REQUEST
from gatepost_core.invisible_characters import without_invisible

ERROR_COLUMNS: Final = ("error_line", "error_field", "error_problem", "error_original", "error_stamp")
"""The columns added to an invalid row. `error_original` holds the text of a row that does not fit the columns, `error_stamp` a hash of the row."""

# Mailchimp, HubSpot, Salesforce, Auth0, Outlook, Google Contacts, Stripe, Brevo and spreadsheets, in English, German, French, Spanish,
# Italian, Portuguese, Dutch and Polish. Without accents, and with one space between words.
_EMAIL: Final = """
    email | e mail | mail | email address | e mail address | emailaddress | user email | customer email | contact email | email 1 | e mail 1
    e mail 1 value | email 1 value | email primary | primary email | primary email address | email id | subscriber email | email addresses
    emailadresse | e mailadresse | mailadresse | email adresse | e mail adresse | mail adresse
    courriel | adresse email | adresse e mail | adresse mail | adresse electronique | adresse de messagerie | adresse courriel | adresse de courriel
    correo | correo electronico | direccion de correo electronico | direccion de correo | direccion de email | direccion email
    indirizzo email | indirizzo e mail | indirizzo mail | posta elettronica | indirizzo di posta elettronica
    endereco de email | endereco de e mail | endereco email | correio eletronico | endereco de correio eletronico | endereco eletronico
    emailadres | e mailadres | e mail adres | email adres
    adres email | adres e mail | adres mailowy | poczta elektroniczna | adres poczty elektronicznej
"""
_MOBILE: Final = """
    mobile | mobile phone | mobile number | mobile phone number | mobilephone | cell | cell phone | cellphone | cell number | cell phone number
    sms | sms phone number | sms phone | sms number | mobile no | mobile telephone | mobile phone 1
    handy | handynummer | handy nr | mobil | mobilnummer | mobiltelefon | mobilfunknummer | mobilfunk | mobiltelefonnummer | mobilrufnummer | telefon mobil
    portable | telephone portable | telephone mobile | numero de portable | numero de mobile | tel portable | tel mobile | numero mobile
    movil | telefono movil | numero de movil | celular | telefono celular | numero de celular
    cellulare | telefono cellulare | numero di cellulare | numero cellulare | tel cellulare
    telemovel | telefone celular | numero de telemovel | telefone movel
    mobiel | mobiele telefoon | mobiel nummer | mobiele nummer | gsm | gsm nummer | 06 nummer
    komorka | telefon komorkowy | numer komorkowy | tel komorkowy | numer telefonu komorkowego
"""
_PHONE: Final = """
    phone | phone number | phonenumber | telephone | telephone number | tel | contact number | phone 1 | phone 1 value | primary phone
    customer phone | user phone | phone no | phone primary | contact phone | contact phone number
    telefon | telefonnummer | rufnummer | tel nr | telefonnr
    numero de telephone | no de telephone | n de telephone | tel no
    telefono | numero de telefono | num de telefono
    numero di telefono | numero telefono | numero telefonico
    telefone | numero de telefone
    telefoon | telefoonnummer
    numer telefonu | nr telefonu | nr tel
"""
_LANGUAGE: Final = """
    preferred language | language code | language preference | preferred locale | preferred locales | locale code | user language | customer language
    sprache | bevorzugte sprache | korrespondenzsprache | sprachcode
    langue | langue preferee | code langue
    idioma | idioma preferido | lengua
    lingua | lingua preferita
    taal | voorkeurstaal
    jezyk | preferowany jezyk
"""


def _split(names: str) -> list[str]:
    return [name.strip() for line in names.strip().splitlines() for name in line.split("|")]


_NAMES: Final[dict[str, Field]] = {
    "recipient": Field.RECIPIENT,
    **dict.fromkeys(_split(_EMAIL), Field.EMAIL),
    **dict.fromkeys(_split(_PHONE), Field.PHONE_NUMBER),
    **dict.fromkeys(_split(_MOBILE), Field.PHONE_NUMBER),
    **dict.fromkeys(_split(_LANGUAGE), Field.LANGUAGE),
    **{
        name.replace("_", " "): field
        for field in MESSAGE_FIELDS
        for name in (field.value, *(IN_REQUEST[field].columns or ()))
    },
}
_OF_MOBILES: Final = frozenset(_split(_MOBILE))
_SEPARATORS: Final = re.compile(r"[\W_]+")
_WITHOUT_DECOMPOSITION: Final = str.maketrans("łŁøØßđĐ", "lLoOsdD")


def field_of(name: str) -> Field | None:
    """Return the field of a column with this name, or None if the name is unknown."""
    return _NAMES.get(_plain(name))


def is_of_mobiles(name: str) -> bool:
    """Whether the name of a column says that its numbers are those of mobile phones."""
    return _plain(name) in _OF_MOBILES


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    """Return a name in lower case, without accents, and with one space between words."""
    spread = unicodedata.normalize("NFKD", without_invisible(name).translate(_WITHOUT_DECOMPOSITION))
    letters = "".join(character for character in spread if not unicodedata.combining(character))
    return _SEPARATORS.sub(" ", letters.casefold()).strip()
