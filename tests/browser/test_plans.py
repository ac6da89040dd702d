"""Every numbering plan of the world, and a page of digits that are not phone numbers."""

import html
import json
import random

import phonenumbers
from phonenumbers import PhoneNumberFormat as Format

from .conftest import OWN, answered, number, target

FORMS = {
    "e164": Format.E164,
    "international": Format.INTERNATIONAL,
    "national": Format.NATIONAL,
    "rfc3966": Format.RFC3966,
}


def examples():
    """For every region: its example number and another of equal length, the last four digits changed (or fewer)."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        own = phonenumbers.example_number(region)
        if own:
            digits = str(own.national_number)
            new = phonenumbers.PhoneNumber()
            new.merge_from(own)
            tail = str((int(digits[-2:]) + 37) % 100).zfill(2)
            new.national_number = int(digits[:-2] + tail)
            yield region, own, new


def write(parsed, form) -> str:
    return phonenumbers.format_number(parsed, form)


def spans(text: str) -> str:
    """A number cut into spans in the middle of its groups."""
    cuts = [text[i : i + 3] for i in range(0, len(text), 3)]
    return "".join(f"<span>{html.escape(cut)}</span>" for cut in cuts)


async def test_example_numbers_of_every_region(world, tab):
    results, missed, pages = {"text": [0, 0], "spans": [0, 0], "link": [0, 0]}, [], {}
    world.config["a"] = []
    # One site per region: the same digits are different numbers in different countries.
    for region, own, new in examples():
        settings, body = target(region, write(own, Format.E164)), []
        for form, code in FORMS.items():
            old = write(own, code)
            body += [
                f'<p id="text-{form}">Call {html.escape(old)} today</p>',
                f'<p id="spans-{form}">Call {spans(old)}</p>',
                f'<a id="link-{form}" href="{html.escape(old if form == "rfc3966" else "tel:" + old)}">call</a>',
            ]
        pages[region] = (settings, "".join(body), own, new)
    for region, (settings, body, own, new) in pages.items():
        world.config["t"] = [settings]
        world.give = {settings["k"]: write(new, Format.E164)}
        await tab.goto(world.page(body))
        await answered(tab)
        new_e164 = world.give[settings["k"]]
        got = await tab.evaluate("""Object.fromEntries([...document.querySelectorAll('[id]')].map(
          e => [e.id, e.href ? e.getAttribute('href') : e.textContent]))""")
        for form, code in FORMS.items():
            # A neighbour of an example number may format otherwise: what counts is the own format with the new digits.
            old, fresh = write(own, code), iter(number(new_e164)["l"])
            local = number(new_e164)["l"]
            count = sum(map(str.isdigit, old))
            head = count - len(local)
            seen, want = 0, ""
            for char in old:
                if char.isdigit():
                    seen += 1
                    want += char if seen <= head else next(fresh)
                else:
                    want += char
            for layout, expected in (
                ("text", f"Call {want} today"),
                ("spans", f"Call {want}"),
                ("link", want if form == "rfc3966" else "tel:" + want),
            ):
                results[layout][1] += 1
                if got[f"{layout}-{form}"] == expected:
                    results[layout][0] += 1
                else:
                    missed.append((region, form, layout, got[f"{layout}-{form}"], expected))
        await tab.evaluate("localStorage.clear()")
    print(json.dumps(results), f"{len(pages)} regions")
    for miss in missed[:60]:
        print("missed:", *miss, sep=" | ")
    for layout, (good, total) in results.items():
        assert good >= 0.99 * total, layout
    assert len(pages) >= 240


def noise(rng: random.Random, local: str) -> list[str]:
    """Prices, dates, accounts, orders and longer runs; a part of them holds the very digits of the target."""
    d = lambda n: "".join(rng.choice("0123456789") for _ in range(n))  # noqa: E731
    groups = lambda text, n=4: " ".join(text[i : i + n] for i in range(0, len(text), n))  # noqa: E731
    some = [
        f"£{d(3)},{d(3)}.{d(2)}",
        f"{d(2)} {d(3)} {d(3)} €",
        f"{d(1)}.{d(3)}.{d(3)},{d(2)} EUR",
        f"{d(2)}.{d(2)}.20{d(2)}",
        f"20{d(2)}-{d(2)}-{d(2)} {d(2)}:{d(2)}",
        f"{d(2)}/{d(2)}/{d(4)}",
        f"GB{d(2)}NWBK{d(14)}",
        f"DE{groups(d(20))}",
        f"Order {d(12)}",
        f"No. {d(9)}",
        f"INV-{d(10)}",
        f"978-{d(1)}-{d(4)}-{d(4)}-{d(1)}",
        groups(d(16)),
        d(11),
        d(13),
        d(14),
        f"{d(2)}.{d(6)}, {d(2)}.{d(6)}",
        f"{d(3)} ({d(3)})",
        f"+{d(11)}",
        f"0{d(10)}",
    ]
    own = [
        f"GB29{local}0019",
        f"GB29 {groups(local)} {d(4)}",
        f"DE {d(4)} {groups(local)} {d(2)}",
        f"{local}{d(1)}",
        f"7{local}",
        f"5130 {local}",
        f"{local} {d(4)}",
        f"£{local}",
        f"£ {local}.00",
        f"{local} €",
        f"{local}.{d(2)}",
        f"{d(1)},{local}",
        f"INV-{local}",
        f"ORD{local}",
        f"{local}X",
        f"#{local}",
        f"№{local}",
        f"513-{local}",
        f"{local}-{d(3)}",
        f"id_{local}",
        f"a/{local}",
        f"?id={local}",
        f"{local}%",
        f"+1{local}",
        f"001{local}",
        f"+7{local}",
        f"{groups(local, 3)} {d(3)}",
        f"51.{local}",
        f"978-{groups(local, 3).replace(' ', '-')}",
        f"{local}@mail.test",
    ]
    return [text for text in some if local not in text] + own


async def test_digits_that_are_no_phone_number_stay(world, tab):
    rng = random.Random(4)
    local = number(OWN)["l"]
    lines = [line for _ in range(60) for line in noise(rng, local)]
    rows = "".join(
        f"<p>{html.escape(line)}</p><td><span>{html.escape(line[:5])}</span><b>{html.escape(line[5:])}</b></td>"
        for line in lines
    )
    await tab.goto(world.page(f"<div id=x>{rows}</div><p id=y>{OWN}</p>"))
    before = await tab.evaluate(
        "fetch('').then(r => r.text()).then(t => new DOMParser().parseFromString(t, 'text/html').getElementById('x').innerHTML)"
    )
    await answered(tab)
    assert await tab.locator("#y").inner_text() == "+442079460101"
    after = await tab.evaluate("x.innerHTML")
    wrong = [(a, b) for a, b in zip(before.split("<p>"), after.split("<p>"), strict=True) if a != b]
    print(len(lines), "lines,", len(wrong), "false swaps", wrong[:12])
    assert wrong == []
