// ct.js: shows each visitor the phone number the server leased to him, and tells the server what he does with it.
//
// Owns: finding and rewriting the page's numbers, one request per page view, signals, what is kept in the browser.
// Never: throws into the page, adds or removes nodes, touches a global other than window.ct.
// Whatever goes wrong, the page keeps the number it was written with.
//
// This is the source; ctserver/http/script.py makes it smaller as it is served, by rules that bind how we write:
// - __CT_SO__ becomes a setting of the site, and the last one all the rest: s site, t targets, a every number of the site,
//   by its national digits, with country code and target;
// - whole-line comments go, and with "//? name" before it a line is served only to sites that use that option,
//   with "//? !name" only to the others;
// - names that begin with $ are shortened; outermost statements are indented by two blanks, and only they;
// - const becomes let, blanks around punctuation go: no string or regular expression holds a blank or a template,
//   and every statement ends in a semicolon or a brace.
($site => {
  const $stub = window.ct;
  if ($stub?.on) return;
  const $key = 'ct:' + $site.s;

  // ---- Patterns

  // What may stand between two digits of one number: anything that is not a letter, a digit or the start of something else.
  // The Ogham space mark \u1680, a blank that pages do not hold, joins the text nodes of one line: a number split over
  // elements is one string.
  // Groups: 1 country code with + or 00 or bare; 2 national prefix, also in brackets after the code; 3 national digits.
  const $pattern = $core => RegExp((__CT_PREFIX__ + $core + ')').replace(/~/g, '[^\\p{L}\\d+,:;|]*'), 'gu');
  const $find = $pattern(
    Object.keys($site.a)
      //? unlike
      .reverse()
      .join('|').replace(/\B/g, '~')
  );
  // In elements that a selector gives to a target: the first of these that finds something.
  //? select
  const $loose = __CT_LOOSE__.map($pattern);
  // Does the text before and after a node run on through it? Not through links: two numbers may stand side by side.
  const $flows = $node =>
    //? select
    !$node?.matches?.(__CT_SELECT__) &&
    /^(#[ct].*|[BISU]|EM|FONT|MARK|SMALL|SPAN|STRONG)$/.test($node?.nodeName);
  const $skip = 'head,script,style,noscript,textarea,[data-ct-skip],[contenteditable]';
  const $fields = ['href', 'placeholder', 'aria-label', 'title'];

  const $safe = $do => (...$a) => {
    try {
      return $do(...$a);
    } catch {}
  };
  const $digits = $text => $text.replace(/\D/g, '');

  // ---- What is kept: v visitor, e session, n numbers by target, h seconds a lease lasts from d, b seconds between beats

  let $lease = { n: {} };
  const $load = $safe(() => {
    const $kept = JSON.parse(
      //? sub
      atob(document.cookie.split($key + '=')[1].split(';')[0])
      //? !sub
      localStorage[$key]
    );
    if (Date.now() - $kept.d < __CT_DAYS__ * 864e5) $lease = $kept;
  });
  const $store = $safe(() => {
    //? sub
    document.cookie = $key + '=' + btoa(JSON.stringify($lease)) + __CT_COOKIE__ + __CT_DAYS__ * 86400 * !!(
    //? !sub
    if (
      //? keep
      $keep
      //? !keep
      $on
    )
    //? !sub
    localStorage[$key] = JSON.stringify($lease);
    //? !sub
    else delete localStorage[$key];
  });
  const $live = () => Date.now() - $lease.d < $lease.h * 1e3;
  const $extend = () => $store($lease.d = Date.now());
  $load();
  // on: is there anything to do? keep: may it be kept? Kept data means that consent was given on an earlier page.
  let $on = 1;
  //? keep
  let $keep = 1;
  //? consent
  $on = ($keep = $lease.v) || __CT_CONSENT__ == 'cookieless';
  //? dnt
  if (navigator.doNotTrack == 1 || navigator.globalPrivacyControl) $on = $keep = 0;

  // The number a target shows: the one leased, or its own.
  const $shown = $t => $on && $live() && $lease.n[$t.k] || $t;
  //? reveal
  const $hidden = $t => $t.rt && $shown($t) == $t && !($asked[$t.k] < 0);
  const $numbers = () => Object.fromEntries($site.t.map($t => [$t.k, $shown($t).n]));

  // ---- Finding and rewriting

  const $owners = new WeakMap();
  // Text and attribute nodes -> what the page wrote, by what we wrote.
  const $written = new WeakMap();
  let $writes = 0, $found;
  const $write = ($nodes, $href) => {
    const $sources = $nodes.map($node => $written.get($node)?.[$node.nodeValue] || $node.nodeValue);
    // Links may hold their blanks as %20: no digits of the number.
    const $text = $sources.join('\u1680').replace(/%20/g, '\0');
    const $parent = $node => $node.ownerElement || $node.parentElement || $node.parentNode.host;
    //? select
    const $own = $nodes[0] && $site.t.find($t => $t.q && $parent($nodes[0]).closest($t.q));
    if (/\d/.test($text)) $text.replace(
      //? select
      $own ? $loose.find($e => $text.search($e) >= 0) || $find :
      $find, ($match, $abroad = '', $home = '', $core, $at) => {
      const $ahead = $text.slice(0, $at), $old = $digits($core);
      const [$code, $first] = $site.a[$old]
        //? select
        || [$own.c]
        ;
      const $t =
        //? select
        $own ||
        //? many
        $site.t.find($t => $shown($t) != $t && $shown($t).l == $old) ||
        $site.t[$first];
      const $element = $parent($nodes[$ahead.split('\u1680').length - 1]);
      //? short
      if (!($abroad || $home || $old[4])) return $match;
      // Neighbours that make the digits part of something longer: an order number, an account, a price, an address. Not
      // before a number whose beginning is marked: by + or brackets, by a blank and a prefix; not a time or another
      // number behind one.
      if (
        !/^\s|[+(]/.test(($home && $ahead.slice(-1)) + $match) &&
        ($href ? /\d$/ : /([\p{L}#№=@_][-/]?|[\d\p{Sc}]\s*[^\w(]?)$/u).test($ahead) ||
        ($href ? /^\d/ : /^(?!x\d|ext|\s(\d+(.?[(:/]|\.\d\d)|[08](\W?\d){8}))([\p{L}@_]|\s*[^\w(+]?[\d\p{Sc}%])/u)
          .test($text.slice($at + $match.length))
      ) return $match;
      $found++;
      $owners.set($element, $t);
      $sight.unobserve($element);
      $sight.observe($element);
      //? modes
      if (!$t.mode || $shown($t) != $t)
        $want($t);
      //? reveal
      $element.toggleAttribute('data-ct-reveal', $hidden($t));
      const $new = $shown($t);
      const $full = $digits($abroad).replace($code, $new.c) + ($home && $new.p) + $new.l;
      let $i = 0;
      return (
        //? reveal
        ($href || !$hidden($t)) &&
        $new.c == $code && $full.length == $digits($match).length ? $match.replace(/\d/g, () => $full[$i++]) : (
          //? reveal
          !$href && $hidden($t) ? $t.rt :
          //? mask
          !$href && $t.m ? $t.m.replace(/X/g, () => $new.l[$i++]) :
          $href || /^.\d*$/.test($match) ? $abroad || $new.c != $code ? $new.n : $full : $new.f[$abroad || $new.c != $code ? 0 : 1]
        ) + $match.replace(/[^\u1680]/g, '')
      );
    }).replace(/\0/g, '%20').split('\u1680').map(($value, $i) => {
      if ($value != $nodes[$i].nodeValue) $written.set($nodes[$i], { [$nodes[$i].nodeValue = $value]: $sources[$i] }), $writes++;
    });
  };

  // Every number under a node. near: only the line of text directly in it, not the blocks inside.
  const $look = $safe(($root, $near) => {
    const $start = $writes, $line = [];
    const $flush = () => $write($line.splice(0));
    const $walk = $node => {
      if ($node.nodeType == 3) return $line.push($node);
      const $block = !$flows($node);
      if ($block) $flush();
      if ($node.matches?.($skip) || $near && $block && $node != $root) return;
      $fields.map(($name, $i) => {
        const $field = $node.getAttributeNode?.($name), $href = $field && /^\s*tel:/i.test($field.value);
        // The first of the fields, href, counts only as a telephone link.
        if ($i ? $field : $href) $write([$field], $href);
      });
      if ($node.shadowRoot) $watch($node.shadowRoot);
      $node.childNodes.forEach($walk);
      if ($block) $flush();
    };
    $root.parentElement?.closest($skip) || $walk($root);
    $flush();
    const $detail = $numbers();
    if ($writes > $start && $told != ($told = JSON.stringify($detail)))
      document.dispatchEvent(new CustomEvent('ct:swap', { detail: $detail })),
      window.dataLayer?.push({ event: 'ct_swap', ct_numbers: $detail });
  });
  const $refresh = () => {
    $load();
    $found = 0;
    $look(document);
  };
  const $watch = $root => {
    $changes.observe($root, { childList: 1, subtree: 1, characterData: 1, attributeFilter: $fields });
    $look($root);
  };

  // Our own writes come back here too: they find nothing to change. A page that keeps writing back is
  // fought 99 times and then left alone until the next beat.
  let $fights = 0, $told;
  const $changes = new MutationObserver($a => {
    const $start = $writes;
    const $nodes = new Set($a.flatMap($e => $e.type == 'childList' ? [...$e.addedNodes] : $e.target));
    if ($fights < 99) $nodes.forEach($node => {
      if ($nodes.has($node.parentNode)) return;
      if ($node.matches) $look($node);
      while ($flows($node)) $node = $node.parentNode;
      $look($node, 1);
    });
    $fights += $writes > $start;
    $moved();
  });
  const $sight = new IntersectionObserver($a => $a.map($e => {
    const $t = $owners.get($e.target);
    //? lazy
    if ($e.isIntersecting && $t.mode == 'lazy') $want($t);
    if ($e.isIntersecting && $shown($t) != $t) $asked[$shown($t).n] ||= $signal('seen', $t);
  }));

  // ---- Talking to the server

  let $props = {};
  // What gtag tells of its ids, written as its cookies are, for browsers that keep none.
  //? ga4
  const $gtag = [];
  const $pack = $e => JSON.stringify({
    s: $site.s,
    v: $lease.v || '',
    //? ga4
    i: [...document.cookie.match(/\b_(ga|ym_uid|fb[pc])[^;]*/g) || [], ...$gtag],
    //? !ga4
    i: document.cookie.match(/\b_(ga|ym_uid|fb[pc])[^;]*/g),
    p: $props,
    ...$e
  });
  const $signal = $safe(($name, $t) => $on && $lease.e &&
    navigator.sendBeacon(__CT_ORIGIN__ + 'signal', $pack({ e: $lease.e, k: $name, n: $t && $shown($t).n })));

  // A page view asks for all its targets in one request; a number wanted later asks again, with its session.
  // One request at a time, since the first one's answer tells who the visitor is. What he came with stands in the address
  // that the browser went to; other scripts may have cut it off by now, or have led him on.
  const $bare = ($url = location.href) => $url.replace(/#[^!/]*$/, '');
  let $fresh = 1, $asked = {}, $wanted = [], $from = document.referrer, $away, $tapped, $pulse, $done, $busy,
    $page = $bare(performance.getEntriesByType('navigation')[0]?.name);
  const $ready = new Promise($do => $done = $do);
  const $want = $t => $asked[$t.k] ||= setTimeout($ask, 50, $wanted.push($t.k));
  const $moved = () => {
    if (!$fresh && $bare() != $page) $from = $page, $page = $bare(), $fresh = setTimeout($ask, 50);
  };
  const $ask = async () => {
    const $visit = $fresh;
    // readyState is complete, interactive or loading.
    if (!$on || document.readyState > 'l' || $busy) return;
    //? ga4
    if ($visit) window.gtag?.('get', __CT_GTAG__, 'client_id', $id => $gtag[0] = '_ga=' + $id);
    //? ga4
    if ($visit) window.gtag?.('get', __CT_GTAG__, 'session_id', $id => $gtag[1] = '_ga_S=GS1.1.' + $id);
    if ($visit) $asked = {}, $wanted = [], $refresh($fresh = 0);
    const $keys = $wanted.splice(0);
    if (!$visit && !$keys[0]) return;
    $busy = 1;
    try {
      const $reply = await fetch(__CT_ORIGIN__ + 'visit', {
        method: 'POST',
        keepalive: 1,
        signal: AbortSignal.timeout(2e3),
        body: $pack({ e: $visit ? '' : $lease.e, u: $bare() == $page ? location.href : $page, r: $from, t: document.title, n: $keys })
      });
      const $answer = $reply.status == 204 || await $reply.json();
      $keys.map($k => $lease.n[$k] = 0);
      $lease = { v: $lease.v, ...$answer, n: { ...($lease.e == $answer.e && $lease.n), ...$answer.n } };
      $extend();
    } catch {}
    //? reveal
    $keys.map($k => $asked[$k] = -1);
    $refresh();
    $done();
    $pulse ||= setInterval($beat, $lease.b * 1e3 || 3e4,
      /ct-test/.test(location) && (opener || parent).postMessage({ ct: $site.s, n: $numbers(), f: $found }, '*'));
    $ask($moved($busy = 0));
  };
  const $beat = () => {
    if (!document.hidden)
      $refresh($fights = 0), $live() ? $extend($signal('beat')) : $ask($fresh = 1);
  };

  // ---- The page's side

  const $api = {
    swap: $watch,
    numbers: $do => $ready.then(() => $do($numbers())),
    set: $e => $props = { ...$props, ...$e },
    track: $name => $ready.then(() => $signal($name)),
    consent: $yes => {
      //? !consent
      $on = $yes;
      //? keep
      $keep = $yes;
      //? consent
      $on = $yes || __CT_CONSENT__ == 'cookieless';
      //? dnt
      if (navigator.doNotTrack == 1 || navigator.globalPrivacyControl) $on = $keep = 0;
      if (!$yes) $lease = { n: {} };
      $store();
      $refresh($ask());
    }
  };
  window.ct = $safe(($name, ...$a) => $api[$name](...$a));
  ct.on = 1;
  $stub?.q?.map($call => ct(...$call));

  const $events = {
    click: $e => $e.composedPath().map($node => {
      const $t = $owners.get($node);
      //? reveal
      if ($t && $hidden($t)) return $e.preventDefault($asked[$t.k] || $ask($want($t)).then(() => $signal('revealed', $t)));
      if ($t && /^\s*tel:/i.test($node.href)) $tapped = Date.now($signal('tapped', $t));
    }),
    copy: () => $site.t.map($t => $digits('' + getSelection()).includes($shown($t).l) && $signal('copied', $t)),
    // Also what a page that comes out of the back/forward cache gets.
    visibilitychange: () => document.hidden ?
      $away = Date.now() - $tapped < 1e4 && $signal('hidden') :
      $beat($away && $signal('back')),
    pagehide: () => $signal('left'),
    popstate: $moved,
    storage: $e => $e.key == $key && $refresh(
      // Gone: consent was taken back in another tab.
      //? keep
      $e.newValue || $api.consent()
    ),
    DOMContentLoaded: $ask
  };
  for (const $type in $events) addEventListener($type, $events[$type], 1);
  $watch(document);
  $ask();
})(__CT_CONFIG__);
