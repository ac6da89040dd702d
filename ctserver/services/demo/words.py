"""The words of the demonstration shop, a bicycle shop in London before Christmas."""

from __future__ import annotations

from typing import NamedTuple

from ctserver.domain.reasons import Reason, explain


class Way(NamedTuple):
    """One way to the shop: of 1,000 visitors, and how much likelier than others they are to ring."""

    weight: int
    calls: float
    medium: str
    source: str
    referrer: str = ""
    campaigns: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    click: str = ""


TERMS = (
    "bicycle repair near me", "bike shop london", "folding bike hire", "christmas bike for kids", "bike service same day",
    "brompton repair camden", "second hand road bike", "bike brakes replacement", "electric bike shop", "puncture repair",
    "kids bike 20 inch", "bike gift voucher", "gravel bike sale", "bike fitting london",
)  # fmt: skip
WAYS = (
    Way(240, 1.6, "cpc", "google", "https://www.google.com/",
        ("christmas-sale", "brand", "spring-tune-up", "kids-bikes", "repairs-london", "e-bikes"), TERMS, "gclid"),
    Way(205, 1.0, "organic", "google", "https://www.google.com/"),
    Way(90, 1.3, "cpc", "yandex", "https://yandex.ru/", ("прокат-велосипедов", "ремонт", "новый-год"),
        ("ремонт велосипедов", "прокат велосипедов лондон", "купить велосипед"), "yclid"),
    Way(120, 0.6, "(none)", "(direct)"),
    Way(85, 0.5, "paid_social", "facebook", "https://www.facebook.com/", ("advent-calendar", "lookalike-2026"), (), "fbclid"),
    Way(70, 0.4, "paid_social", "instagram", "https://www.instagram.com/", ("advent-calendar", "reels-workshop"), (), "fbclid"),
    Way(50, 0.9, "organic", "bing", "https://www.bing.com/"),
    Way(45, 1.2, "cpc", "bing", "https://www.bing.com/", ("brand", "repairs-london"), TERMS, "msclkid"),
    Way(40, 0.7, "email", "newsletter", "", ("november", "advent", "winter-check")),
    Way(35, 2.2, "maps", "google maps", "https://maps.google.com/"),
    Way(20, 0.8, "referral", "camdencycling.example", "https://camdencycling.example/clubs"),
)  # fmt: skip
WAY_WEIGHTS = [way.weight for way in WAYS]

PAGES = (
    ("/", "Lighthouse Bicycles"), ("/repairs", "Repairs: what we mend and what it costs"), ("/bikes", "Bicycles"),
    ("/hire", "Hire by the day or the week"), ("/christmas", "Presents for cyclists"), ("/kids", "Children's bicycles"),
    ("/e-bikes", "Electric bicycles"), ("/find-us", "Find us"), ("/repairs/gears-and-brakes", "Gears and brakes"),
    ("/hire/folding", "Folding bicycles for hire"), ("/vouchers", "Gift vouchers"), ("/fitting", "Bike fitting"),
    ("/clothing", "Winter clothing"), ("/used", "Second-hand"), ("/about", "Who we are"), ("/opening-hours", "Opening hours"),
)  # fmt: skip

PLACES = (
    ("GB", "London", "London"), ("GB", "Surrey", "Guildford"), ("GB", "Essex", "Chelmsford"), ("GB", "Kent", "Dartford"),
    ("GB", "Hertfordshire", "Watford"), ("GB", "Oxfordshire", "Oxford"), ("GB", "Manchester", "Manchester"),
    ("RU", "Moscow", "Moscow"), ("FR", "Île-de-France", "Paris"), ("", "", ""),
)  # fmt: skip
PLACE_WEIGHTS = (560, 70, 60, 55, 50, 35, 30, 40, 20, 80)

DEVICES = (
    ("phone", "Chrome Mobile", "Android"), ("phone", "Mobile Safari", "iOS"), ("desktop", "Chrome", "Windows"),
    ("desktop", "Safari", "Mac OS X"), ("desktop", "Firefox", "Linux"), ("tablet", "Mobile Safari", "iOS"),
)  # fmt: skip
DEVICE_WEIGHTS = (32, 30, 20, 9, 3, 6)

# Of a day's visits and calls, by the hour of UTC.
VISIT_HOURS = (1, 1, 0.5, 0.5, 0.5, 1, 2, 4, 6, 8, 9, 9, 8, 8, 8, 8, 8, 7, 7, 8, 8, 6, 4, 2)
CALL_HOURS = (0.1, 0, 0, 0, 0, 0.1, 0.4, 1.5, 5, 9, 10, 10, 8, 7, 9, 9, 8, 7, 4, 2, 1, 0.6, 0.4, 0.2)
WEEKDAYS = (1.1, 1.05, 1.0, 1.0, 1.1, 1.15, 0.6)  # from Monday

PEOPLE = ("PJSIP/olivia", "PJSIP/jack", "PJSIP/amelia", "PJSIP/workshop", "PJSIP/harry", "PJSIP/anna")
GIVEN = (
    "Tom",
    "Maria",
    "Alice",
    "Jürgen",
    "Priya",
    "Oliver",
    "Grace",
    "Samuel",
    "Nadia",
    "Henry",
    "Chloe",
    "Marcus",
    "Isla",
    "Yusuf",
    "Ruth",
)
FAMILY = (
    "da Silva",
    "Martin",
    "O'Brien",
    "Weiß",
    "Patel",
    "Hughes",
    "Okafor",
    "Turner",
    "Nowak",
    "Campbell",
    "Reid",
    "Walsh",
    "Khan",
    "Foster",
    "Ellis",
    "Shaw",
    "Price",
)
GIVEN_RU = ("Пётр", "Константин", "Артём", "Максим", "Илья", "Роман")
FAMILY_RU = ("Вавилов", "Ёлкин", "Соколов", "Журавлёв", "Белов", "Ершов", "Громов", "Чижов", "Лебедев")


def name_of(caller: int) -> str:
    """What the PBX's address book calls this caller of the town: the same each time, no two of 1,000 alike; most it does not know."""
    known, rest = divmod(caller, 4)
    if rest:
        return ""
    russian, rest = divmod(known, 5)
    if rest == 0:
        return f"{GIVEN_RU[russian % 6]} {FAMILY_RU[russian // 6 % 9]}"
    return f"{GIVEN[known % 15]} {FAMILY[known // 15 % 17]}"


KINDS = (("exact", 0.93), ("tapped", 0.97), ("likely", 0.62), ("repeat", 0.7), ("ambiguous", 0.3))
CODES = {"exact": "only", "likely": "on_page", "none": "no_candidates"}
SECONDS = {"tapped": 9, "repeat": 3 * 86_400}


def why(kind: str, shown: int = 0) -> str:
    """Why a call was credited so; the number was shown `shown` seconds before it rang."""
    return explain(Reason(CODES.get(kind, kind), {"seconds": SECONDS.get(kind, shown), "percent": 41}))


MISSES = ("no_answer", "abandoned", "busy", "abandoned_early", "unreachable", "rejected", "congestion", "failed")
MISS_WEIGHTS = (44, 30, 12, 8, 3, 2, 0.7, 0.3)
CAUSES = {"no_answer": 19, "busy": 17, "unreachable": 20, "rejected": 21, "congestion": 34, "failed": 88, "broken": 44}
STATUSES = {
    "no_answer": "NOANSWER", "abandoned": "CANCEL", "abandoned_early": "CANCEL", "busy": "BUSY", "unreachable": "CHANUNAVAIL",
    "rejected": "CHANUNAVAIL", "congestion": "CONGESTION", "failed": "CONGESTION",
}  # fmt: skip
SILENT = ("abandoned_early", "busy", "unreachable", "congestion", "failed")  # no phone rang
WAITS = {  # seconds until the answer or the end: the shortest, how much more on average, the longest
    "completed": (2, 9, 24), "broken": (2, 9, 24), "no_answer": (25, 0.1, 26), "abandoned": (7, 6, 24), "rejected": (2, 2, 9),
    "abandoned_early": (0.5, 0.5, 2), "busy": (0.3, 0.2, 1), "unreachable": (0.3, 0.2, 1), "congestion": (0.3, 0.2, 1),
    "failed": (0.3, 0.2, 1),
}  # fmt: skip

CATEGORIES = ("order", "consulted_order", "consultation", "out_of_stock", "wrong_number", "not_a_customer", "lost")
CATEGORY_WEIGHTS = (24, 10, 40, 8, 5, 10, 3)
SOLD = ("order", "consulted_order")

LOGINS = ("olivia", "jack", "amelia", "anna")
TAGS = ("christmas", "gift", "wants an e-mail", "club member", "urgent", "price too high", "repair")
NOTES = (
    "Comes by on Saturday to try the folding one.", "Wants it before the 24th; promised to ring when it is ready.",
    "Asked for the child's size, 20 inch. Sent a link.", "Compared us with the shop in Camden; we are cheaper with service.",
    "Needs an invoice to the company.", "Brakes and a new chain, tomorrow at nine.", "Перезвонить после шести, говорит по-русски.",
)  # fmt: skip
LESSONS = (
    "How to ask for the size without boring him", "A complaint that ended in an order", "Agrees on the next step in one sentence",
)  # fmt: skip
