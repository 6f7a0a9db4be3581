/* The editor of templates: remarks while one types, fields put in at the cursor, characters exchanged in place.
   Without this script the buttons send the form, and the same is done on the box. */
(function () {
  "use strict";
  var form = document.querySelector("form[data-lint]");
  if (!form) { return; }
  var body = form.elements.body, region = document.getElementById("lint");
  var timer, asked = 0;

  function look() {
    var turn = ++asked;
    fetch(form.dataset.lint, { method: "POST", body: new FormData(form), credentials: "same-origin", cache: "no-store" })
      .then(function (answer) {
        if (answer.status === 401) { location.reload(); return null; }
        return answer.ok ? answer.text() : null;
      })
      .then(function (html) { if (html !== null && turn === asked) { region.innerHTML = html; } })
      .catch(function () { /* the box is away: the remarks stay as they were, and saving says so */ });
  }
  function later() {
    clearTimeout(timer);
    timer = setTimeout(look, 400);
  }
  function write(start, end, text) {
    body.focus();
    body.setRangeText(text, start, end, "end");
    later();
  }

  form.addEventListener("input", later);
  form.addEventListener("change", later);
  form.querySelectorAll("[data-insert]").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      write(body.selectionStart, body.selectionEnd, "{{" + button.dataset.insert + "}}");
    });
  });
  region.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) { return; }
    if ("plainer" in button.dataset) {
      event.preventDefault();
      write(0, body.value.length, button.dataset.plainer);
    } else if ("replace" in button.dataset) {
      event.preventDefault();
      /* The box counts characters, the browser UTF-16 units. */
      var at = button.value.indexOf(":"), place = Number(button.value.slice(0, at));
      var signs = Array.from(body.value), start = signs.slice(0, place).join("").length;
      write(start, start + (signs[place] || "").length, button.value.slice(at + 1));
    }
  });
  form.querySelectorAll("[data-check]").forEach(function (button) { button.hidden = true; });
})();
