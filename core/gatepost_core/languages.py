"""The languages that Auth0 supports for a message, and the form of their tags."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gatepost_core.nearest import nearest

AUTH0_LANGUAGES: Final = {
    "am": "Amharic", "ar": "Arabic", "ar-EG": "Arabic (Egypt)", "ar-SA": "Arabic (Saudi Arabia)", "az": "Azerbaijani",
    "bg": "Bulgarian", "bn": "Bengali", "bs": "Bosnian", "ca-ES": "Catalan", "cnr": "Montenegrin", "cs": "Czech",
    "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "en-CA": "English (Canada)",
    "es": "Spanish", "es-419": "Spanish (Latin America)", "es-AR": "Spanish (Argentina)", "es-MX": "Spanish (Mexico)",
    "et": "Estonian", "eu-ES": "Basque", "fa": "Persian", "fi": "Finnish", "fr-CA": "French (Canada)", "fr-FR": "French",
    "gl-ES": "Galician", "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "hy": "Armenian", "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ka": "Georgian",
    "kn": "Kannada", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "ml": "Malayalam",
    "mn": "Mongolian", "mr": "Marathi", "ms": "Malay", "my": "Burmese", "nb": "Norwegian (Bokmål)", "nl": "Dutch",
    "nn": "Norwegian (Nynorsk)", "no": "Norwegian", "pa": "Punjabi", "pl": "Polish", "pt-BR": "Portuguese (Brazil)",
    "pt-PT": "Portuguese (Portugal)", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "so": "Somali",
    "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zgh": "Tamazight",
    "zh-CN": "Chinese (simplified)", "zh-HK": "Chinese (Hong Kong)", "zh-TW": "Chinese (traditional)",
}  # fmt: skip
"""The languages into which Auth0 has translated its texts, by tag, with their English names, as of November 2026.

Source: https://auth0.com/docs/customize/internationalization-and-localization/universal-login-internationalization
"""

_OWN_NAMES: Final = {
    "azərbaycan": "az", "bahasa indonesia": "id", "bahasa melayu": "ms", "bokmål": "nb", "bosanski": "bs",
    "brasileiro": "pt-BR", "català": "ca", "crnogorski": "cnr", "cymraeg": "cy", "dansk": "da", "deutsch": "de",
    "eesti": "et", "english": "en", "español": "es", "euskara": "eu", "français": "fr", "galego": "gl", "hrvatski": "hr",
    "íslenska": "is", "italiano": "it", "kiswahili": "sw", "latviešu": "lv", "lietuvių": "lt", "magyar": "hu",
    "nederlands": "nl", "norsk": "no", "nynorsk": "nn", "polski": "pl", "português": "pt", "română": "ro", "shqip": "sq",
    "slovenčina": "sk", "slovenščina": "sl", "soomaali": "so", "suomi": "fi", "svenska": "sv", "tagalog": "tl",
    "tiếng việt": "vi", "türkçe": "tr", "čeština": "cs", "ελληνικά": "el", "български": "bg", "македонски": "mk",
    "монгол": "mn", "русский": "ru", "српски": "sr", "українська": "uk", "ქართული": "ka", "հայերեն": "hy", "עברית": "he",
    "العربية": "ar", "فارسی": "fa", "اردو": "ur", "አማርኛ": "am", "हिन्दी": "hi", "मराठी": "mr", "বাংলা": "bn",
    "ਪੰਜਾਬੀ": "pa", "ગુજરાતી": "gu", "தமிழ்": "ta", "తెలుగు": "te", "ಕನ್ನಡ": "kn", "മലയാളം": "ml", "ไทย": "th",
    "မြန်မာ": "my", "한국어": "ko", "日本語": "ja", "简体中文": "zh-CN", "繁體中文": "zh-TW", "中文": "zh",
}  # fmt: skip

# The other regions of a listed language are taken too: `de-AT` is German. RFC 5646 section 2.1, without extensions and variants.
_TAG: Final = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?", re.IGNORECASE
)
_TAKEN: Final = frozenset(tag.partition("-")[0] for tag in AUTH0_LANGUAGES)
_NAMES: Final = {
    **{tag: tag for tag in (*_TAKEN, *AUTH0_LANGUAGES)},
    **{name: tag for tag, name in AUTH0_LANGUAGES.items()},
    "Catalan": "ca",
    "Basque": "eu",
    "French": "fr",
    "Galician": "gl",
    "Portuguese": "pt",
    "Chinese": "zh",
    **_OWN_NAMES,
}
# Further apart than in other names: languages are short words, and a wrong suggestion would send a wrong text.
_CLOSE: Final = 0.75
# Codes of three letters are close to the tags of other languages: `slk` is Slovak, `sl` Slovenian.
_SHORTEST_WORD: Final = 4
_LONGEST_WORD: Final = 40
_FLAW: Final = "is not a language that Auth0 supports"


def normalise_language(text: str) -> str:
    """Return a language tag in its usual form: `pt_br` becomes `pt-BR`. Normalising twice changes nothing.

    Args:
        text: a tag of language, script and region (RFC 5646), such as `fr`, `pt-BR` or `zh-Hant-TW`.

    Raises:
        ValueError: Auth0 does not take the language. The message gives the nearest tag, and does not repeat the text.
    """
    found = _TAG.fullmatch(text.strip().replace("_", "-"))
    if found is None or found["language"].lower() not in _TAKEN:
        raise ValueError(language_problem(text))
    script, region = found["script"], found["region"]
    parts = [found["language"].lower(), script and script.title(), region and region.upper()]
    return "-".join(filter(None, parts))


@lru_cache(maxsize=1024)
def language_problem(text: str) -> str:
    """Return why a text is not a language that Auth0 supports, with the nearest tag."""
    is_word = _SHORTEST_WORD <= len(text) <= _LONGEST_WORD
    name = nearest(text.replace("_", "-"), _NAMES, share=_CLOSE) if is_word else None
    if name is None:
        return f"{_FLAW}; write its tag, such as fr or pt-BR, or remove it"
    return f"{_FLAW}. Did you mean {_NAMES[name]}?"
