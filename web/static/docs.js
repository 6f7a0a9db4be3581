// Starts the API page. A file of its own, because the content security policy forbids inline script.
"use strict";

const place = document.getElementById("docs");
window.SwaggerUIBundle({
  url: place.dataset.document,
  dom_id: "#docs",
  layout: "BaseLayout",
  presets: [window.SwaggerUIBundle.presets.apis],
  validatorUrl: null,
  persistAuthorization: false,
});
