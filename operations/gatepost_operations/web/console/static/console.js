// The page works without this script, except for files. Everything that is shown comes as HTML from the server.

// Marks the page while the console itself does not answer.
document.addEventListener("htmx:sse:error", () => document.body.classList.add("offline"));
document.addEventListener("htmx:sse:after:connection", () => document.body.classList.remove("offline"));


// htmx repeats a lost stream, but not one whose first request failed.
function connectAgain(event) {
  const { sourceElement, response } = event.detail.ctx ?? {};
  if (sourceElement?.id !== "live" || response?.status < 500) return;
  document.body.classList.add("offline");
  setTimeout(() => sourceElement.dispatchEvent(new Event("retry")), 2000);
}
document.addEventListener("htmx:error", connectAgain);
document.addEventListener("htmx:response:error", connectAgain);

const STREAMED = { csv: "text/csv", tsv: "text/csv", txt: "text/plain", jsonl: "application/x-ndjson", ndjson: "application/x-ndjson" };

// A form with a file sends the file as the body, and its fields in the query: the console then streams it without keeping it.
document.addEventListener("htmx:config:request", (event) => {
  const request = event.detail.ctx.request;
  if (!request.form?.hasAttribute("data-file")) return;
  const file = request.form.querySelector("input[type=file]").files[0];
  const fields = new URLSearchParams();
  for (const [name, value] of request.body) {
    if (name === "csrf_token") request.headers["x-csrf-token"] = value;
    else if (typeof value === "string" && value) fields.append(name, value);
  }
  request.action += `?${fields}`;
  const ending = file.name.toLowerCase().split(".").pop();
  request.headers["Content-Type"] = STREAMED[ending] ?? "application/octet-stream";
  request.body = file;
});

// The result of a form that does not leave the page gets the focus, so that a screen reader reads it.
document.addEventListener("htmx:after:swap", () => {
  const target = document.querySelector("#errors, #report-title");
  if (target) { target.tabIndex = -1; target.focus(); }
});
