// What a keyboard adds to the pages; without it everything still works.
"use strict";

// `/` goes to the search box, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const search = document.getElementById("search");
  if (event.key !== "/" || typing || !search || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  event.preventDefault();
  search.focus();
  search.select();
});

// A second click on the same button would only be refused.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") {
    return;
  }
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
});

// Whoever comes back to a page of the browser's memory may use its forms again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
  }
});
