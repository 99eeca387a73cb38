"""Reads prices such as '3.49 EUR', '$1,299.00' and '1.299,-': an amount and a currency."""

import re
from typing import Final

_SYMBOLS: Final = {
    "€": "EUR", "$": "USD", "us$": "USD", "ca$": "CAD", "c$": "CAD", "a$": "AUD", "au$": "AUD",
    "nz$": "NZD", "hk$": "HKD", "r$": "BRL", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB",
    "₺": "TRY", "₴": "UAH", "₩": "KRW", "zł": "PLN", "kč": "CZK", "ft": "HUF", "lei": "RON",
    "лв": "BGN", "fr.": "CHF", "kr": "kr", "kr.": "kr", "rs.": "INR", "euro": "EUR",
}  # fmt: skip
_CODES: Final = (
    "AED", "ARS", "AUD", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK",
    "EGP", "EUR", "GBP", "HKD", "HRK", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KRW",
    "MAD", "MXN", "MYR", "NOK", "NZD", "PEN", "PHP", "PKR", "PLN", "RON", "RSD", "RUB",
    "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "USD", "VND", "ZAR",
)  # fmt: skip
_NAMES: Final = _SYMBOLS | {code.lower(): code for code in _CODES}
_CURRENCY = "|".join(map(re.escape, sorted(_NAMES, key=len, reverse=True)))
_PRICE = re.compile(
    rf"([+-]?)\s*({_CURRENCY})?\s*([+-]?\d[\d.,'’ \u00a0\u202f]{{0,30}}?)(?:[.,][-–—])?"
    rf"\s*({_CURRENCY})?",
    re.IGNORECASE,
)
# Thousands marks other than the point and the comma: '1 299,00' and the Swiss 1'299.00.
_MARK = re.compile(r"(?<=\d)[ '’\u00a0\u202f](?=\d{3}(?!\d))")
_LONGEST = 48


def split_price(text: str) -> tuple[str, str | None]:
    """Splits a price into its number and the code of its currency; a text without is returned.

    >>> split_price("€ 1.299,00")
    ('1.299,00', 'EUR')
    """
    if len(text) > _LONGEST or not any(map(str.isdigit, text)):
        return text, None
    found = _PRICE.fullmatch(text)
    currency = (found[2] or found[4]) if found else None
    if found is None or (bool(found[2]) and bool(found[4])):
        return text, None
    number = _MARK.sub("", found[1] + found[3].strip())
    return number, _NAMES[currency.lower()] if currency else None
