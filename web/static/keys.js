/* Single-letter shortcuts of the inbox: j and k go through the conversations, r writes, / searches. They can be switched off
   (WCAG 2.1.4), and never fire while one types. */
(function () {
  "use strict";
  var KEEP = "ringpost-keys";

  function isOn() {
    try { return localStorage.getItem(KEEP) !== "off"; } catch (error) { return true; }
  }
  function types(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }
  function move(step) {
    var links = Array.prototype.slice.call(document.querySelectorAll("[data-thread]"));
    if (!links.length) { return false; }
    var here = links.indexOf(document.activeElement);
    if (here < 0) { here = links.findIndex(function (link) { return link.hasAttribute("aria-current"); }); }
    var next = here < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, here + step));
    links[next].focus();
    return true;
  }
  function focus(selector) {
    var found = document.querySelector(selector);
    if (!found || found.closest("[hidden]")) { return false; }
    found.focus();
    return true;
  }

  var tick = document.getElementById("keys-on");
  if (tick) {
    tick.checked = isOn();
    tick.closest("[data-keys-switch]").hidden = false;
    tick.addEventListener("change", function () {
      try { localStorage.setItem(KEEP, tick.checked ? "on" : "off"); } catch (error) { /* then they stay on */ }
    });
  }
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || types(event.target) || !isOn()) { return; }
    var done = event.key === "j" ? move(1) : event.key === "k" ? move(-1)
      : event.key === "r" ? focus("#composer-text") || focus("#composer-template")
      : event.key === "/" ? focus('[data-key="search"]') : false;
    if (done) { event.preventDefault(); }
  });
})();
