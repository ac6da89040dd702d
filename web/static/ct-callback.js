// ct-callback.js: a button in the page's corner that opens a small form: leave your number, and we ring you.
//
// Owns: one element of its own, closed to the page's styles. Never: throws into the page, stores anything, asks the server
// before the visitor does. Who he is, it reads from what ct.js keeps; without ct.js there is no button.
// Texts and looks come from the script's own attributes:
//
//     <script async src="https://calls.example.com/ct-callback.js?site=shop" data-button="Call me back" data-colour="#0b6"></script>
(() => {
  const SITE = __CT_SITE__, ORIGIN = __CT_ORIGIN__;
  const own = document.currentScript?.dataset ?? {};
  const text = {
    button: 'Call me back',
    title: 'We call you back',
    number: 'Your phone number',
    when: 'When',
    now: 'now',
    minutes: 'in 15 minutes',
    hour: 'in an hour',
    send: 'Call me',
    close: 'Close',
    soon: 'We are calling you now.',
    later: 'We will call you at {time}.',
    badNumber: 'Please check the number.',
    country: 'We cannot call numbers of this country.',
    often: 'You have asked several times. Please wait for our call.',
    closed: 'We cannot call you back at the moment.',
    failed: 'That did not work. Please call us.',
    ...own,
  };
  const style = `
    :host { all: initial; font: 16px/1.4 system-ui, sans-serif; color: #1a1a1a; }
    button { font: inherit; border: 0; border-radius: 6px; padding: 10px 16px; cursor: pointer; background: var(--c); color: #fff; }
    .open { position: fixed; right: 16px; bottom: 16px; z-index: 2147483000; box-shadow: 0 2px 8px #0004; }
    button:focus-visible, input:focus-visible, select:focus-visible { outline: 3px solid #fff; box-shadow: 0 0 0 5px var(--c); }
    dialog { border: 0; border-radius: 6px; padding: 20px; width: min(320px, calc(100vw - 64px)); box-shadow: 0 8px 32px #0006; }
    dialog::backdrop { background: #0006; }
    h2 { font-size: 18px; margin: 0 0 12px; }
    label { display: block; margin: 0 0 12px; }
    input, select { display: block; box-sizing: border-box; width: 100%; font: inherit; padding: 8px; margin-top: 4px;
      border: 1px solid #767676; border-radius: 6px; background: #fff; color: #1a1a1a; }
    .x { position: absolute; left: -9999px; }
    .row { display: flex; gap: 8px; justify-content: flex-end; }
    .quiet { background: none; color: #444; }
    p { margin: 0 0 12px; min-height: 1.4em; }`;

  const kept = () => {
    try {
      const found = document.cookie.match(new RegExp(`(?:^|; )ct:${SITE}=([^;]*)`));
      return JSON.parse(localStorage['ct:' + SITE] ?? decodeURIComponent(found?.[1] ?? '{}'));
    } catch {
      return {};
    }
  };
  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const start = () => {
    const host = make('div');
    const root = host.attachShadow({ mode: 'closed' });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    root.adoptedStyleSheets = [sheet];
    host.style.setProperty('--c', own.colour || '#1f5fbf');

    const number = make('input', { type: 'tel', name: 'n', autocomplete: 'tel', required: true, maxLength: 32 });
    const when = make('select', { name: 'd' },
      make('option', { value: '0', textContent: text.now }),
      make('option', { value: '15', textContent: text.minutes }),
      make('option', { value: '60', textContent: text.hour }));
    const trap = make('input', { name: 'x', tabIndex: -1, autocomplete: 'off' });
    const said = make('p', { role: 'status' });
    const send = make('button', { textContent: text.send });
    const close = make('button', { type: 'button', className: 'quiet', textContent: text.close });
    const title = make('h2', { id: 't', textContent: text.title });
    const form = make('form', { noValidate: true },
      title,
      make('label', {}, text.number, number),
      make('label', {}, text.when, when),
      make('label', { className: 'x', ariaHidden: 'true' }, 'Leave empty', trap),
      said,
      make('div', { className: 'row' }, close, send));
    const dialog = make('dialog', {}, form);
    dialog.setAttribute('aria-labelledby', 't');
    const open = make('button', { className: 'open', textContent: text.button });
    root.append(open, dialog);
    document.body.append(host);

    let opened = 0;
    open.onclick = () => {
      opened = Date.now();
      said.textContent = '';
      send.hidden = false;
      dialog.showModal();
      number.focus();
    };
    close.onclick = () => dialog.close();
    form.onsubmit = async event => {
      event.preventDefault();
      if (!/\d.*\d.*\d.*\d/.test(number.value)) {
        said.textContent = text.badNumber;
        return number.focus();
      }
      send.disabled = true;
      said.textContent = await ask(number.value, +when.value, trap.value, (Date.now() - opened) / 1000, () => {
        send.hidden = true;
      });
      send.disabled = false;
    };
  };

  const ask = async (n, d, x, w, done) => {
    const { v = '', e = '' } = kept();
    try {
      const response = await fetch(ORIGIN + '/v1/callback', {
        method: 'POST',
        body: JSON.stringify({ s: SITE, v, e, n, d, x, w, u: location.href }),
        signal: AbortSignal.timeout(10000),
      });
      const { at, no } = response.status == 200 ? await response.json() : {};
      if (at) {
        done();
        const time = new Date(at);
        const options = { hour: '2-digit', minute: '2-digit', ...(at - Date.now() > 43200000 && { weekday: 'long' }) };
        return at - Date.now() < 60000 ? text.soon : text.later.replace('{time}', time.toLocaleString([], options));
      }
      return { number: text.badNumber, ours: text.badNumber, country: text.country, often: text.often, closed: text.closed }[no] ?? text.failed;
    } catch {
      return text.failed;
    }
  };

  const ready = () => setTimeout(() => kept().v && start(), 1000 * (own.after || 3));
  document.readyState == 'loading' ? addEventListener('DOMContentLoaded', ready) : ready();
})();
