/* The inbox stays fresh: asks every three seconds, replaces what has changed, counts in the title, and notes what was read.
   Without this script everything works by reloading. */
(function () {
  "use strict";
  var EVERY_MS = 3000, HIDDEN_MS = 15000;
  var inbox = document.querySelector("[data-inbox]");
  if (!inbox) { return; }
  var etag = '"' + inbox.dataset.etag + '"', status = document.getElementById(inbox.dataset.status);
  var news = document.getElementById("inbox-news"), seen = document.getElementById("seen");
  var slot = document.querySelector("[data-composer-slot]"), scroller = document.querySelector("[data-scroll]");
  var unread = -1, timer, busy = false;

  function say(what) {
    if (status && status.textContent !== status.dataset[what]) { status.textContent = status.dataset[what]; }
  }
  function count(now) {
    var number = now > 99 ? "99+" : String(now);
    document.title = (now ? "(" + number + ") " : "") + document.title.replace(/^\(\d+\+?\) /, "");
    if (unread >= 0 && now > unread) { news.textContent = now === 1 ? news.dataset.one : news.dataset.many + " " + number; }
    unread = now;
    document.querySelectorAll("[data-unread][class=badge-count]").forEach(function (badge) {
      badge.hidden = now === 0;
      badge.querySelector("[data-number]").textContent = now ? number : "";
    });
  }
  function keepFocus(region, fill) {
    var held = document.activeElement && region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fill();
    if (held) {
      var again = Array.prototype.find.call(region.querySelectorAll("a"), function (a) { return a.getAttribute("href") === held; });
      if (again) { again.focus({ preventScroll: true }); }
    }
  }
  function replace(name, fresh) {
    var region = inbox.querySelector('[data-part="' + name + '"]');
    if (!region || !fresh || region.innerHTML === fresh.innerHTML) { return false; }
    keepFocus(region, function () { region.innerHTML = fresh.innerHTML; });
    return true;
  }
  function door() {
    var lock = inbox.querySelector('[data-part="lock"] [data-open]');
    return lock ? lock.dataset.open : "";
  }
  function show(html) {
    var box = document.createElement("div"), before = door();
    box.innerHTML = html;
    var root = box.firstElementChild;
    box.querySelectorAll("[data-part]").forEach(function (fresh) { replace(fresh.dataset.part, fresh); });
    if (seen) { seen.dataset.until = root.dataset.lastIn; seen.dataset.news = root.dataset.news; }
    count(Number(root.dataset.unread));
    if (slot && door() !== before) { reopen(); }
  }
  function reopen() {
    var typed = slot.querySelector("textarea");
    if (typed && typed.value.trim()) { return; }
    fetch(slot.dataset.composerSlot, { credentials: "same-origin", cache: "no-store" })
      .then(function (answer) { return answer.ok ? answer.text() : null; })
      .then(function (html) {
        if (html === null) { return; }
        slot.innerHTML = html;
        if (window.ringpostComposer) { window.ringpostComposer(slot); }
      })
      .catch(function () { /* the next change tries again */ });
  }
  function read() {
    if (!seen || !seen.dataset.until || seen.dataset.news === "0" || document.hidden) { return; }
    var body = new URLSearchParams(new FormData(seen));
    body.set("until", seen.dataset.until);
    seen.dataset.news = "0";
    fetch(seen.action, { method: "POST", body: body, credentials: "same-origin" })
      .then(function () { if (!busy) { clearTimeout(timer); look(); } })
      .catch(function () { seen.dataset.news = "1"; });
  }
  function wait() { timer = setTimeout(look, document.hidden ? HIDDEN_MS : EVERY_MS); }
  function look() {
    busy = true;
    fetch(inbox.dataset.inbox, { headers: { "If-None-Match": etag }, cache: "no-store", credentials: "same-origin" })
      .then(function (answer) {
        if (answer.status === 401 || answer.status === 403) { location.reload(); return null; }
        if (!answer.ok && answer.status !== 304) { throw new Error(String(answer.status)); }
        say("fresh");
        if (answer.status === 304) { return null; }
        etag = answer.headers.get("ETag");
        return answer.text().then(show);
      })
      .catch(function () { say("broken"); })
      .then(function () { busy = false; wait(); });
  }

  ["pointerdown", "keydown", "focus"].forEach(function (what) { window.addEventListener(what, read); });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && !busy) { clearTimeout(timer); look(); }
  });
  document.querySelectorAll("[data-without-script]").forEach(function (each) { each.hidden = true; });
  if (scroller) { scroller.scrollTop = scroller.scrollHeight; }
  read();
  say("fresh");
  wait();
})();
