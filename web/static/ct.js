// ct.js: shows each visitor the phone number the server leased to him, and tells the server what he does with it.
//
// Owns: finding and rewriting the page's numbers, one request per page view, signals, what is kept in the browser.
// Never: throws into the page, adds or removes nodes, touches a global other than window.ct.
// Whatever goes wrong, the page keeps the number it was written with.
//
// This is the source; ctserver/http/script.py makes it smaller as it is served, by rules that bind how we write:
// - whole-line comments go, and with "//? name" before it a line is served only to sites that use that option;
// - names that begin with $ are shortened; outermost statements are indented by two blanks, and only they;
// - const becomes let, blanks around punctuation go: no string or regular expression holds a blank or a template,
//   and every statement ends in a semicolon or a brace.
($site => {
  if (window.ct && ct.on) return;
  const $targets = $site.t;
  const $key = 'ct:' + $site.s;

  // ---- Patterns

  // What may stand between two digits of one number: anything that is not a letter, a digit or the start of something else.
  // \uffff is our own: it joins the text nodes of one line, so that a number split over elements is one string.
  const $gap = '[^\\p{L}\\d+,:;|]*';
  const $spread = $number => [...$number].join($gap);
  // Groups: 1 country code with + or 00 or bare, perhaps (0); 2 national prefix; 3 national digits.
  const $pattern = $core => RegExp($site.x.replace(/~/g, $gap) + '(' + $core + ')', 'gu');
  const $find = $pattern(Object.keys($site.a).reverse().map($spread).join('|'));
  //? select
  const $loose = $pattern('\\d(?:' + $gap + '\\d){5,}');
  // Neighbours that make the digits part of something longer: an order number, an account, a price, an address.
  const $before = /(\d[\s\uffff]*[^\w(]?|\p{L}[-/]?|[#№=@_]|\p{Sc}\s?)$/u;
  const $after = /^([\s\uffff]*[^\w(+]?\d|(?!x\d|ext)[\p{L}@_]|\s?[\p{Sc}%])/u;
  const $inline = /^(#[ct].*|A|B|EM|FONT|I|MARK|S|SMALL|SPAN|STRONG|U)$/;
  // Does the text before and after a node run on through it?
  const $flows = $node => $inline.test($node.nodeName)
    //? select
    && !$node.matches?.($site.q)
  ;
  const $skip = 'head,script,style,noscript,textarea,[data-ct-skip],[contenteditable]';
  const $fields = ['href', 'placeholder', 'aria-label', 'title'];

  const $safe = $do => (...$a) => {
    try {
      return $do(...$a);
    } catch ($e) {}
  };
  const $digits = $text => $text.replace(/\D/g, '');

  // ---- What is kept: v visitor, e session, n numbers by target, h seconds a lease lasts, b seconds between beats, x its end

  let $lease = { n: {} };
  const $load = $safe(() => {
    let $kept;
    //? sub
    if ($site.sub) $kept = document.cookie.split($key + '=')[1].split(';')[0]; else
    $kept = localStorage[$key];
    $kept = JSON.parse(decodeURIComponent($kept));
    if ($kept.d > Date.now()) $lease = $kept;
  });
  const $store = $safe($value => {
    //? sub
    if ($site.sub) document.cookie = $key + '=' + $value + ';path=/;domain=' + $site.sub + ';max-age=' + $site.days * 86400 * !!$value; else
    if ($value) localStorage[$key] = $value;
    else delete localStorage[$key];
  });
  const $extend = () => {
    $lease.x = Date.now() + $lease.h * 1e3;
    $lease.d = Date.now() + $site.days * 864e5;
    if ($keep) $store(encodeURIComponent(JSON.stringify($lease)));
  };
  $load();
  // Kept data means that consent was given on an earlier page.
  let $keep = $site.consent == 'none' || $lease.v;
  let $on = $keep || $site.consent != 'wait', $deny;
  //? dnt
  if (navigator.doNotTrack == 1 || navigator.globalPrivacyControl) $on = 0, $deny = 1;
  const $shown = $t => $on && $lease.x > Date.now() && $lease.n[$t.k] || '';
  //? reveal
  const $hidden = $t => $t.mode == 'reveal' && !$shown($t) && $asked[$t.k] != 2;
  const $numbers = () => Object.fromEntries($targets.map($t => [$t.k, ($shown($t) || $t).n]));

  // ---- Finding and rewriting

  const $owners = new WeakMap();
  const $swap = ($text, $nodes, $href) => {
    const $parent = $node => $node.ownerElement || $node.parentElement || $node.parentNode.host;
    let $own, $any = $find;
    //? select
    if ($own = $targets.find($t => $t.q && $parent($nodes[0]).closest($t.q))) $any = $loose;
    return $text.replace($any, ($match, $abroad, $home, $core, $at) => {
      const $old = $digits($core);
      const [$code, $first] = $site.a[$old] || [$own.c];
      const $t = $own || $targets.find($t => $shown($t).l == $old) || $targets[$first];
      const $rest = $text.slice($at + $match.length), $ahead = $text.slice(0, $at);
      const $element = $parent($nodes[$ahead.split('\uffff').length - 1]);
      if ($href ? /^\d/.test($rest) : $match[0] != '+' && $before.test($ahead) || $after.test($rest) || !($abroad || $home || $old[4])) return $match;
      $owners.set($element, $t);
      $sight.unobserve($element);
      $sight.observe($element);
      if ($t.mode == 'now' || $shown($t)) $want($t);
      //? reveal
      if ($t.mode == 'reveal') $element.toggleAttribute('data-ct-reveal', $hidden($t));
      const { c: $c, p: $p, l: $l, n: $n, f: $f } = $shown($t) || $t;
      const $full = ($abroad ? $digits($abroad).replace($code, $c) : $home ? $p : '') + $l;
      const $plain = $href || /^\+?\d+$/.test($match);
      let $i = 0;
      //? reveal
      if (!$href && $hidden($t)) $text = $t.rt; else
      if (($abroad || $c == $code) && $full.length == $digits($match).length) return $match.replace(/\d/g, () => $full[$i++]);
      else
      //? mask
      if (!$href && $t.m) $text = $t.m.replace(/X/g, () => $l[$i++]); else
      $text = $abroad || $c != $code ? ($plain ? $n : $f[0]) : $plain ? $full : $f[1];
      return $text + $match.replace(/[^\uffff]/g, '');
    });
  };

  // Text and attribute nodes -> what the page wrote, what we wrote.
  const $written = new WeakMap();
  let $writes = 0;
  const $write = ($nodes, $href) => {
    const $sources = $nodes.map($node => {
      const [$source, $value] = $written.get($node) || [];
      return $value == $node.nodeValue ? $source : $node.nodeValue;
    });
    const $text = $sources.join('\uffff');
    if (/(\d\D{0,40}){4}/.test($text)) $swap($text, $nodes, $href).split('\uffff').map(($value, $i) => {
      if ($value != $nodes[$i].nodeValue) {
        $nodes[$i].nodeValue = $value;
        $written.set($nodes[$i], [$sources[$i], $value]);
        $writes++;
      }
    });
  };

  // Every number under a node. near: only the line of text directly in it, not the blocks inside.
  const $look = $safe(($root, $near) => {
    const $start = $writes;
    let $line = [];
    const $flush = () => {
      if ($line[0]) $write($line);
      $line = [];
    };
    const $walk = $node => {
      if ($node.nodeType == 3) return $line.push($node);
      const $block = !$flows($node);
      if ($block) $flush();
      if ($node.matches) {
        if ($node.matches($skip) || $near && $block && $node != $root) return;
        for (const $field of $node.attributes) {
          const $href = $field.name == 'href';
          if ($fields.includes($field.name) && (!$href || /^tel:/i.test($field.value))) $write([$field], $href);
        }
        if ($node.shadowRoot) $watch($node.shadowRoot);
      }
      for (let $child = $node.firstChild; $child; $child = $child.nextSibling) $walk($child);
      if ($block) $flush();
    };
    if (!$root.parentElement?.closest($skip)) $walk($root);
    $flush();
    const $detail = $numbers();
    if ($writes > $start && $told != ($told = JSON.stringify($detail))) {
      document.dispatchEvent(new CustomEvent('ct:swap', { detail: $detail }));
      window.dataLayer?.push({ event: 'ct_swap', ct_numbers: $detail });
    }
  });
  const $refresh = () => $look(document);
  const $watch = $root => {
    $changes.observe($root, { childList: 1, subtree: 1, characterData: 1, attributeFilter: $fields });
    $look($root);
  };

  // Our own writes come back here too: they find nothing to change. A page that keeps writing back is
  // fought 99 times and then left alone until the next beat.
  let $fights = 0, $told;
  const $changes = new MutationObserver($safe($records => {
    const $start = $writes, $seen = new Set();
    if ($fights < 99) for (const { type: $type, target: $target, addedNodes: $added } of $records) {
      for (const $node of $type == 'childList' ? $added : [$target]) {
        if (!$seen.has($node) && !$seen.has($node.parentNode)) {
          let $line = $node;
          if ($node.matches) $look($node);
          while ($line && $flows($line)) $line = $line.parentNode;
          if ($line) $look($line, 1);
        }
        $seen.add($node);
      }
    }
    if ($writes > $start) $fights++;
    $moved();
  }));
  const $sight = new IntersectionObserver($safe($entries => $entries.map(({ isIntersecting: $visible, target: $target }) => {
    if (!$visible) return;
    $sight.unobserve($target);
    const $t = $owners.get($target);
    //? lazy
    if ($t.mode == 'lazy') $want($t);
    if ($shown($t) && !$asked[$shown($t).n]) $asked[$shown($t).n] = $signal('seen', $t);
  })));

  // ---- Talking to the server

  const $props = {};
  const $pack = $more => JSON.stringify({ s: $site.s, v: $lease.v || '', i: document.cookie.match(/\b_(ga|ym_uid|fb[pc])[^;]*/g), p: $props, ...$more });
  const $signal = ($name, $t) => $on && $lease.e && navigator.sendBeacon($site.o + '/v1/signal', $pack({ e: $lease.e, k: $name, n: $t && $shown($t).n }));

  // A page view asks for all its targets in one request; a number wanted later asks again, with its session.
  let $fresh = 1, $asked = {}, $wanted = [], $waiting = [], $from = document.referrer, $page, $timer, $pulse;
  const $want = $t => {
    if (!$asked[$t.k]) {
      $asked[$t.k] = 1;
      $wanted.push($t.k);
      $soon();
    }
  };
  const $soon = () => {
    clearTimeout($timer);
    $timer = setTimeout($ask, 50);
  };
  const $moved = () => {
    const $url = location.href.replace(/#(?![!/]).*/, '');
    if ($page && $url != $page) {
      $from = $page;
      $fresh = 1;
      $soon();
    }
    $page = $url;
  };
  const $ask = async () => {
    if (!$on || document.readyState == 'loading') return;
    const $visit = $fresh;
    if ($visit) {
      $asked = {};
      $wanted = [];
      $refresh();
      $fresh = 0;
    }
    const $keys = $wanted.splice(0);
    if (!$visit && !$keys[0]) return;
    try {
      const $reply = await fetch($site.o + '/v1/visit', {
        method: 'POST',
        credentials: 'omit',
        keepalive: 1,
        signal: AbortSignal.timeout(2e3),
        body: $pack({ e: $visit ? '' : $lease.e, u: location.href, r: $from, t: document.title, n: $keys }),
      });
      const $answer = $reply.status == 204 ? {} : await $reply.json();
      $keys.map($k => $lease.n[$k] = 0);
      $lease = { ...$answer, n: { ...($lease.e == $answer.e && $lease.n), ...$answer.n } };
      $extend();
    } catch ($e) {}
    $keys.map($k => $asked[$k] = 2);
    $refresh();
    $pulse = $pulse || setInterval($beat, ($lease.b || 30) * 1e3);
    $waiting.map?.($do => $do());
    $waiting = { push: $do => $do() };
  };
  const $beat = $safe(() => {
    if ($fights > 98) {
      $fights = 0;
      $refresh();
    }
    if (document.hidden || !$lease.e) return;
    if ($lease.x > Date.now()) {
      $signal('beat');
      return $extend();
    }
    $fresh = 1;
    $soon();
  });
  const $resume = () => {
    $load();
    $refresh();
    $beat();
  };

  // ---- The page's side

  const $api = {
    swap: $watch,
    numbers: $do => $waiting.push(() => setTimeout($do, 0, $numbers())),
    set: $more => Object.assign($props, $more),
    track: $name => $waiting.push(() => $signal($name)),
    consent: $yes => {
      $keep = $yes;
      $on = !$deny && ($yes || $site.consent == 'cookieless');
      if (!$yes) $store('', $lease = { n: {} });
      else if ($lease.e) $extend();
      $refresh($ask());
    },
  };
  const $queue = window.ct?.q || [];
  window.ct = $safe(($name, ...$rest) => $api[$name](...$rest));
  ct.on = 1;
  $queue.map($call => ct(...$call));

  let $away, $tapped;
  const $events = {
    click: $e => {
      for (const $node of $e.composedPath()) {
        const $t = $owners.get($node);
        //? reveal
        if ($t && $hidden($t)) return $e.preventDefault($want($t)), $ask().then(() => $signal('revealed', $t));
        if ($t && /^tel:/i.test($node.href)) {
          $tapped = Date.now();
          $signal('tapped', $t);
        }
      }
    },
    copy: () => $targets.map($t => $digits('' + getSelection()).includes($shown($t).l) && $signal('copied', $t)),
    visibilitychange: () => {
      if (document.hidden) {
        if (Date.now() - $tapped < 1e4) $away = $signal('hidden');
      } else {
        if ($away) $signal('back', $away = 0);
        $resume();
      }
    },
    pagehide: () => $signal('left'),
    pageshow: $e => $e.persisted && $resume(),
    popstate: $moved,
    storage: $e => $e.key == $key && $resume(),
    DOMContentLoaded: $ask,
  };
  for (const $type in $events) addEventListener($type, $safe($events[$type]), true);
  $moved();
  $watch(document);
  $ask();
})(__CT_CONFIG__);
