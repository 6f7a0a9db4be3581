/* Keeps a part of the page fresh: asks for it every three seconds and replaces it when it has changed.
   A region with data-live-reload leads to the page named there instead, where more than the region depends on it.
   Without this script the page still works; it just has to be reloaded. */
(function () {
  "use strict";
  var EVERY_MS = 3000, HIDDEN_MS = 30000;

  document.querySelectorAll("[data-live]").forEach(function (region) {
    var etag = '"' + region.dataset.liveEtag + '"';
    var status = document.getElementById(region.dataset.liveStatus);
    var timer, busy = false;

    function say(what) {
      if (status && status.textContent !== status.dataset[what]) { status.textContent = status.dataset[what]; }
    }
    function wait() {
      timer = setTimeout(look, document.hidden ? HIDDEN_MS : EVERY_MS);
    }
    function look() {
      if (busy) { return; }
      busy = true;
      fetch(region.dataset.live, { headers: { "If-None-Match": etag }, cache: "no-store", credentials: "same-origin" })
        .then(function (answer) {
          if (answer.status === 401 || answer.status === 403) { location.reload(); return null; }
          if (!answer.ok && answer.status !== 304) { throw new Error(String(answer.status)); }
          say("fresh");
          if (answer.status === 304) { return null; }
          etag = answer.headers.get("ETag");
          if (region.dataset.liveReload) { location.replace(region.dataset.liveReload); return null; }
          return answer.text().then(function (html) { region.innerHTML = html; });
        })
        .catch(function () { say("broken"); })
        .then(function () { busy = false; wait(); });
    }
    document.addEventListener("visibilitychange", function () {
      if (!document.hidden) { clearTimeout(timer); if (!busy) { look(); } }
    });
    say("fresh");
    wait();
  });
})();
