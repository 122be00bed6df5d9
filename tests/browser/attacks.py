"""What a web page can send without asking anybody: each way as a few lines of JavaScript.

`u` is the address in the sidecar that it goes for; what comes back is what the page could read of the answer. A way
that tells the page nothing comes back at once: whether it arrived is for the sidecar's log to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

_HELPERS = """
const put = (tag, fields, parent = document.body) =>
  void parent.append(Object.assign(document.createElement(tag), fields));
const loaded = (tag, fields) => new Promise(done => put(tag, {...fields, onload: done, onerror: done}))
  .then(event => event.target);
const frame = fields => loaded("iframe", fields).then(found => found.contentDocument.documentElement.innerText);
const kept = window.kept = [];  // What nobody holds may be collected before it has sent anything.
const keep = thing => void kept.push(thing);
const text = answer => answer.text();
// A body that is a request itself, should anybody take it for the next one.
const smuggled = "GET /smuggled HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n";
const post = (target, type, u) => {
  const form = Object.assign(document.createElement("form"), {action: u, method: "post", enctype: type, target});
  put("textarea", {name: smuggled, value: smuggled}, form);
  document.body.append(form);
  form.submit();
};
const posted = (type, u) => {
  const target = Object.assign(document.createElement("iframe"), {name: "frame" + Math.random()});
  document.body.append(target);
  const answer = new Promise(done => { target.onload = done; });
  post(target.name, type, u);
  return answer.then(() => target.contentDocument.documentElement.innerText);
};
const opened = u => {
  const popup = window.open(u);
  return new Promise(done => setTimeout(function look() {
    try {
      if (!popup.closed && popup.location.href == "about:blank") return setTimeout(look, 20);
      done(popup.document.documentElement.innerText);
    } catch { done(""); }
  }, 20)).finally(() => popup.close());
};
const xhr = (method, u, body) => new Promise((done, failed) => {
  const request = new XMLHttpRequest();
  Object.assign(request, {onload: () => done(request.responseText), onerror: failed});
  request.open(method, u);
  request.send(body);
});
const socket = u => new Promise((done, failed) => Object.assign(new WebSocket(u.replace("http:", "ws:")), {
  onopen: () => done("open"), onerror: failed}));
const events = u => new Promise((done, failed) => {
  const source = new EventSource(u);
  Object.assign(source, {onopen: () => done("open"), onerror: event => { source.close(); failed(event); }});
});
const patience = () => new Promise(done => setTimeout(done, 15000));
"""

FROM_ITS_OWN_NAME: Mapping[str, str] = {
    "fetch": "u => fetch(u).then(text)",
    "fetch-post": "u => fetch(u, {method: 'POST', body: '{}'}).then(text)",
    "fetch-delete": "u => fetch(u, {method: 'DELETE'}).then(text)",
    "fetch-header": "u => fetch(u, {headers: {'X-Requested-With': 'XMLHttpRequest'}}).then(text)",
    "fetch-without-referrer": "u => fetch(u, {referrerPolicy: 'no-referrer', credentials: 'omit'}).then(text)",
    "xhr": "u => xhr('GET', u)",
    "xhr-post": "u => xhr('POST', u, smuggled)",
    "iframe": "u => frame({src: u})",
    "form-post": "u => posted('text/plain', u)",
    "img": "u => put('img', {src: u})",
    "script": "u => put('script', {src: u})",
    "websocket": "socket",
    "eventsource": "events",
    "window-open": "opened",
}
"""For a page whose name leads to the sidecar: everything there has the page's own origin, and could be read."""

FROM_ELSEWHERE: Mapping[str, str] = {
    # Simple requests: they go out before anybody is asked.
    "fetch": "u => fetch(u).then(text)",
    "fetch-no-cors": "u => fetch(u, {mode: 'no-cors'}).then(text)",
    "fetch-no-cors-bare": "u => fetch(u, {mode: 'no-cors', referrerPolicy: 'no-referrer'}).then(text)",
    "fetch-no-cors-head": "u => fetch(u, {mode: 'no-cors', method: 'HEAD'}).then(text)",
    "fetch-no-cors-post": "u => fetch(u, {mode: 'no-cors', method: 'POST', body: smuggled}).then(text)",
    "fetch-keepalive": "u => fetch(u, {mode: 'no-cors', method: 'POST', body: smuggled, keepalive: true}).then(text)",
    "fetch-with-credentials": "u => fetch(u, {credentials: 'include'}).then(text)",
    "xhr": "u => xhr('GET', u)",
    "xhr-post": "u => xhr('POST', u, smuggled)",
    "beacon": "u => void navigator.sendBeacon(u, smuggled)",
    "ping": "u => { const a = document.createElement('a'); a.href = '#'; a.ping = u; a.click(); }",
    "report": "u => put('iframe', {src: '/reporting?to=' + encodeURIComponent(u)})",
    # Others ask first: their preflight is what arrives.
    "fetch-json": """u => fetch(u, {method: 'POST', headers: {"Content-Type": "application/json"},
        body: "{}"}).then(text)""",
    "fetch-header": "u => fetch(u, {headers: {'X-Requested-With': 'XMLHttpRequest'}}).then(text)",
    "fetch-delete": "u => fetch(u, {method: 'DELETE'}).then(text)",
    # Elements that load something.
    "img": "u => loaded('img', {src: u}).then(found => found.naturalWidth || '')",
    "img-cors": "u => put('img', {src: u, crossOrigin: 'use-credentials'})",
    "input-image": "u => put('input', {type: 'image', src: u})",
    "script": "u => loaded('script', {src: u}).then(() => '')",
    "script-module": "u => put('script', {type: 'module', src: u})",
    "stylesheet": "u => loaded('link', {rel: 'stylesheet', href: u}).then(l => l.sheet.cssRules.length || '')",
    "css-import": "u => put('style', {textContent: `@import url(${u})`})",
    "css-image": "u => { document.body.style.background = `url(${u})`; }",
    "font": "u => keep(new FontFace('stolen', `url(${u})`).load())",
    "prefetch": "u => put('link', {rel: 'prefetch', href: u})",
    "preload": "u => put('link', {rel: 'preload', as: 'fetch', href: u, crossOrigin: 'anonymous'})",
    "modulepreload": "u => put('link', {rel: 'modulepreload', href: u})",
    "video": "u => put('video', {src: u, preload: 'auto'})",
    "audio": "u => put('audio', {src: u, preload: 'auto'})",
    "object": "u => put('object', {data: u})",
    "embed": "u => put('embed', {src: u})",
    "eventsource": "events",
    "websocket": "socket",
    "worker": "u => keep(new Worker('/worker.js?to=' + encodeURIComponent(u)))",
    "worker-import": "u => keep(new Worker('/importing.js?to=' + encodeURIComponent(u)))",
    "shared-worker": "u => keep(new SharedWorker('/worker.js?to=' + encodeURIComponent(u)))",
    # Documents in frames and windows.
    "iframe": "u => frame({src: u})",
    "iframe-sandboxed": "u => put('iframe', {src: u, sandbox: 'allow-scripts'})",
    "iframe-redirected": "u => frame({src: '/redirect?status=302&to=' + encodeURIComponent(u)})",
    "sandboxed-fetch": "u => put('iframe', {sandbox: 'allow-scripts', srcdoc: `<script>fetch('${u}')</script>`})",
    "blank-fetch": "u => put('iframe', {srcdoc: `<script>fetch('${u}', {mode: 'no-cors'})</script>`})",
    "form-post": "u => posted('application/x-www-form-urlencoded', u)",
    "form-post-text": "u => posted('text/plain', u)",
    "form-post-multipart": "u => posted('multipart/form-data', u)",
    "window-open": "opened",
    "window-open-unrelated": "u => { window.open(u, '_blank', 'noopener,noreferrer'); }",
    # By way of the page's own server, which passes the request on.
    "fetch-redirected": "u => fetch('/redirect?status=302&to=' + encodeURIComponent(u), {mode: 'no-cors'}).then(text)",
    "post-redirected": """u => fetch('/redirect?status=307&to=' + encodeURIComponent(u),
        {mode: 'no-cors', method: 'POST', body: smuggled}).then(text)""",
    "img-redirected": "u => put('img', {src: '/redirect?status=301&to=' + encodeURIComponent(u)})",
}
"""For a page of another origin, whether it is of another site or of another port on this machine."""

IN_A_SECURE_PAGE: Mapping[str, str] = {
    "service-worker": "u => void navigator.serviceWorker.register('/worker.js?to=' + encodeURIComponent(u))",
}
"""What browsers keep for https and localhost."""

A_FEW: Mapping[str, str] = {
    name: FROM_ELSEWHERE[name] for name in ("fetch", "fetch-no-cors", "img", "iframe", "form-post-text", "websocket")
}
"""One of each kind."""

LEAVING: Mapping[str, str] = {
    "location": "u => { location = u; }",
    "location-replace": "u => location.replace(u)",
    "link": "u => { const a = document.createElement('a'); a.href = u; a.rel = 'noreferrer'; a.click(); }",
    "meta-refresh": "u => put('meta', {httpEquiv: 'refresh', content: '0; url=' + u}, document.head)",
    "top-form-post": "u => post('_self', 'text/plain', u)",
    "location-redirected": "u => { location = '/redirect?status=302&to=' + encodeURIComponent(u); }",
}
"""The page goes to the sidecar itself, and is gone: one at a time."""


def all_at_once(attacks: Mapping[str, str], names: Iterable[str] | None = None) -> str:
    """A function of the base address: carries out the attacks, and gives what each of them could read."""
    chosen = ", ".join(f"{json.dumps(name)}: {attacks[name]}" for name in names or attacks)
    return f"""async base => {{
      {_HELPERS}
      const attacks = {{{chosen}}};
      const read = {{}};
      await Promise.all(Object.entries(attacks).map(async ([name, attack]) => {{
        try {{ read[name] = String(await Promise.race([attack(base + name), patience()]) ?? ""); }}
        catch {{ read[name] = ""; }}
      }}));
      return read;
    }}"""


def leave(attack: str) -> str:
    """A function of the address: leaves for it as soon as it has returned."""
    return f"u => {{ {_HELPERS} const attack = {attack}; setTimeout(() => attack(u)); }}"
