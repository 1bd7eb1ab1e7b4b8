// Marks the page while the console itself does not answer. Everything else comes as HTML from the server.
document.addEventListener("htmx:sse:error", () => document.body.classList.add("offline"));
document.addEventListener("htmx:sse:after:message", () => document.body.classList.remove("offline"));
