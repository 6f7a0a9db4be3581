/* Keeps ticks of the queue when live.js puts a fresh list in their place, and says how many there are. */
(function () {
  "use strict";
  var region = document.querySelector("[data-live]"), form = document.getElementById("chosen");
  if (!region || !form) { return; }
  var ticked = {}, button = form.querySelector("button"), words = button.dataset.words;

  function boxes() { return Array.prototype.slice.call(region.querySelectorAll("input[name=id]")); }
  function show() {
    var count = boxes().filter(function (box) { return box.checked; }).length;
    button.textContent = count ? words.replace("0", String(count)) : words.replace(/\s*\(0\)/, "");
  }
  region.addEventListener("change", function (event) {
    if (event.target.name === "id") { ticked[event.target.value] = event.target.checked; show(); }
  });
  new MutationObserver(function () {
    boxes().forEach(function (box) { box.checked = Boolean(ticked[box.value]); });
    show();
  }).observe(region, { childList: true });
  boxes().forEach(function (box) { ticked[box.value] = box.checked; });
  show();
})();
