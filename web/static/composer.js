/* The composer while one types: asks the server what the message would become, exchanges dear characters in place, sends once.
   Without this script a button "Preview" shows the same on a page of its own. */
(function () {
  "use strict";
  var WAIT_MS = 250;

  function start(form) {
    if (form.dataset.started) { return; }
    form.dataset.started = "yes";
    var text = form.elements.text, template = form.elements.template_id;
    var timer, asked = 0, shown = 0;

    function part(name) { return form.querySelector('[data-part="' + name + '"]'); }
    function free() {
      var hidden = Boolean(template && template.value);
      form.querySelectorAll("[data-free]").forEach(function (each) { each.hidden = hidden; });
    }
    function mark() {
      var bad = part("seen").dataset.trouble === "text";
      text.classList.toggle("is-invalid", bad);
      if (bad) { text.setAttribute("aria-invalid", "true"); } else { text.removeAttribute("aria-invalid"); }
      text.setAttribute("aria-describedby", (bad ? "composer-trouble " : "") + "composer-seen");
    }
    function show(html) {
      var fresh = document.createElement("div"), before = part("fields");
      fresh.innerHTML = html;
      var seen = fresh.querySelector('[data-part="seen"]'), fields = fresh.querySelector('[data-part="fields"]');
      var old = part("seen");
      if (old.innerHTML !== seen.innerHTML) {
        var held = document.activeElement && old.contains(document.activeElement) ? document.activeElement.name : "";
        old.replaceWith(seen);
        if (held) {
          var again = seen.querySelector('[name="' + held + '"]');
          if (again) { again.focus(); } else if (!text.closest("[hidden]")) { text.focus(); }
        }
      }
      if (before.dataset.template !== fields.dataset.template) { before.replaceWith(fields); }
      mark();
    }
    function ask() {
      var mine = ++asked;
      fetch(form.dataset.composer, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin" })
        .then(function (answer) {
          if (answer.status === 401) { location.reload(); }
          return answer.ok ? answer.text() : null;
        })
        .then(function (html) {
          if (html !== null && mine > shown) { shown = mine; show(html); }
        })
        .catch(function () { /* the office's network: the next letter asks again */ });
    }
    function soon() { clearTimeout(timer); timer = setTimeout(ask, WAIT_MS); }

    form.addEventListener("input", soon);
    form.addEventListener("change", function () { free(); soon(); });
    form.addEventListener("click", function (event) {
      var button = event.target.closest("[data-swap]");
      if (!button) { return; }
      event.preventDefault();
      var whole = button.dataset.swap === "*";
      text.value = whole ? button.dataset.with : text.value.split(button.dataset.swap).join(button.dataset.with);
      text.focus();
      clearTimeout(timer);
      ask();
    });
    form.addEventListener("keydown", function (event) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
    });
    form.addEventListener("submit", function (event) {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "yes";
    });
    window.addEventListener("pageshow", function () { delete form.dataset.sent; });
    form.querySelectorAll("[data-preview]").forEach(function (each) { each.hidden = true; });
    form.querySelectorAll("[data-with-script]").forEach(function (each) { each.hidden = false; });
    free();
    if (text.value.trim() || (template && template.value)) { ask(); }
  }

  function find(root) { root.querySelectorAll("form[data-composer]").forEach(start); }
  window.ringpostComposer = find;
  find(document);
})();
