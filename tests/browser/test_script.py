"""The served bytes: size, validity, what is baked in, and the ids read from cookies. No browser."""

import gzip
import json
import re
import subprocess
from itertools import combinations
from timeit import repeat

import pytest

from ctserver.http.script import build, client_ids, features, fit, strip

from .conftest import CONFIG, OWN, SOURCE, target

PLAIN = CONFIG | {"o": "https://ct.example.com"}
FULL = PLAIN | {
    "sub": "shop.example",
    "dnt": 1,
    "consent": "wait",
    "ga4": "G-ABC123",
    "t": [
        target("main", OWN, mode="reveal", rt="Show", m="0XX XXXX XXXX"),
        target("b", "+441614960000", mode="lazy", q=".b"),
        target("c", "+2908000"),
    ],
}
FEATURES = ["sub", "dnt", "reveal", "lazy", "mask", "select"]
OTHERS = {"ga4", "consent", "keep", "many", "modes", "short", "unlike"}


def size(config) -> int:
    return len(gzip.compress(build(config, SOURCE).encode(), 9, mtime=0))


def test_the_size():
    """Plain is a site with one number and no options; the other has every option at once."""
    print(f"plain {size(PLAIN)}, every option {size(FULL)} bytes")
    assert size(PLAIN) <= 2560
    assert size(FULL) <= 3130
    assert features(PLAIN) == set()
    assert features(FULL) == set(FEATURES) | OTHERS


def test_a_larger_pool_costs_little():
    pool = PLAIN | {"a": [f"+4420794601{n:02}" for n in range(50)]}
    assert size(pool) <= 2560 + 50 * 6


def test_every_choice_of_features_and_every_pair_of_options_is_valid_javascript(tmp_path):
    every = {*FEATURES, *OTHERS}
    choices = [set(some) for n in range(7) for some in combinations(FEATURES, n)]
    pairs = [set(pair) for n in range(3) for pair in combinations(sorted(every), n)]
    for n, wanted in enumerate([*choices, *pairs, *(every - pair for pair in pairs)]):
        (tmp_path / f"{n}.js").write_text(strip(fit(SOURCE, wanted)))
    check = "for (const f of fs.readdirSync('.')) new vm.Script(fs.readFileSync(f, 'utf8'), f)"
    subprocess.run(["node", "-e", check], check=True, cwd=tmp_path)


def test_strip_joins_declarations_and_shares_letters_without_harm():
    source = """
($site => {
  const $twice = $a => {
    const $b = $a;
    const $c = [
      $b,
      $a
    ];
    let $d = $c.map($e => $next($e));
    return $d;
  };
  const $next = $a => $a + $step;
  let $step = $site, $last;
  for (const $b of $twice(1)) $last = [$last, $b];
  console.log(JSON.stringify([$twice(4), $last]));
})(__CT_CONFIG__);
"""
    served = strip(source)
    assert served.count("let ") == 3
    assert len(served) < 160
    ran = subprocess.run(["node", "-e", served.replace("__CT_CONFIG__", "10")], check=True, capture_output=True)
    assert json.loads(ran.stdout) == [[14, 14], [[None, 11], 11]]


def test_the_source_keeps_the_habits_that_make_strip_safe():
    code = "\n".join(line for line in SOURCE.splitlines() if not line.strip().startswith("//"))
    strings = [part for line in code.splitlines() for part in line.split("'")[1::2]]
    assert [text for text in strings if " " in text] == []
    assert "(?<" not in code, "browsers of 2022 do not know it, and would not run the script at all"
    assert "`" not in code
    assert '"' not in code
    served = strip(SOURCE)
    assert "//" not in served
    assert re.findall(r"\$[A-Za-z]", served) == []


def test_the_config_cannot_break_out_of_the_script():
    config = PLAIN | {"s": "</script>\u2028'\"\\"}
    served = build(config, SOURCE)
    assert "</script>" not in served
    assert "\u2028" not in served
    baked = json.loads(served[served.rindex("})(") + 3 :].rstrip().removesuffix(");"))
    assert baked["s"] == config["s"]
    with pytest.raises(ValueError, match="exactly once"):
        build(PLAIN, "nothing")


def test_numbers_that_begin_alike_and_targets_of_their_own():
    config = PLAIN | {"t": [target("a", "+29022158"), target("b", OWN, a=["+442079460555"])], "a": ["+290221581"]}
    served = build(config, SOURCE)
    baked = json.loads(served[served.rindex("})(") + 3 :].rstrip().removesuffix(");"))
    assert baked["a"] == {"22158": ["290", 0], "221581": ["290", 0], "2079460000": ["44", 1], "2079460555": ["44", 1]}


def test_ids_in_cookies_of_both_generations():
    old = [
        "_ga=GA1.2.111.222",
        "_ga_X1=GS1.1.1700000000.3.1.1700000001.0.0.0",
        "_ym_uid=333",
        "_fbp=fb.1.4.5",
        "_fbc=fb.1.6.7",
    ]
    assert client_ids(old) == {"ga": "111.222", "gs": "1700000000", "ym": "333", "fbp": "fb.1.4.5", "fbc": "fb.1.6.7"}
    assert client_ids(["_ga_X1=GS2.1.s1700000000$o3$g1$t1$j0", "_ga=GA1.1-2.9.8"]) == {"ga": "9.8", "gs": "1700000000"}
    assert client_ids(None) == client_ids(["_ga=", "x"]) == {}


@pytest.mark.parametrize(
    ("cookie", "ids"),
    [
        ("_ga=GA1.1.123.456", {"ga": "123.456"}),
        ("_ga=GA1.2-2.123.456", {"ga": "123.456"}),
        ("_ga=123.456", {"ga": "123.456"}),
        ("_ga=amp-1.2\n", {"ga": "1.2"}),
        ("_ga=\n1.2", {}),
        ("_ga=GA1.1.123.456x", {}),
        ("_ga=GA1.1.123.", {}),
        ("_ga=123456", {}),
    ],
)
def test_the_id_of_a_visitor_is_the_last_two_numbers_of_his_cookie(cookie, ids):
    assert client_ids([cookie]) == ids


@pytest.mark.parametrize(
    ("head", "again", "tail"),
    [
        ("_ga=", "1", ""),
        ("_ga=", "1", ".1x"),
        ("_ga=1.", "1", "x"),
        ("_ga=", "1.", "x"),
        ("_ga=", "11111.", "x"),
        ("_ga=", "x", ""),
        ("_ga_", "a", ""),
        ("_ga_", "a=GS1.1.", ""),
        ("_ga_A=GS1.1.", "1", "x"),
        ("_ym_uid=", "1", "x"),
        ("_fbp=", "1.", "\n"),
        ("_fbc=", "1.", "\n"),
    ],
)
def test_a_cookie_four_times_as_long_takes_about_four_times_as_long(head, again, tail):
    def seconds(length):
        cookies = [head + again * (length // len(again)) + tail] * 20
        return min(repeat(lambda: client_ids(cookies), number=1, repeat=15))

    assert seconds(2000) < 9 * seconds(500)  # 16 times if each character were looked at from each
