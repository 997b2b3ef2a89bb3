"use strict";
// The pages work without this file. With it: filters apply at once, a form is sent once, times are the reader's own, and a
// connection test comes back into the form, so that nobody types a password twice.

const zone = () => {
  for (const time of document.querySelectorAll("time")) {
    time.title = new Date(time.dateTime).toLocaleString();
  }
};

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
}

const test = async (form, button) => {
  const label = button.textContent;
  button.setAttribute("aria-disabled", "true");
  button.textContent = "Testing …";
  try {
    const body = new URLSearchParams(new FormData(form, button));
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, redirect: "error" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("main");
    if (!page.querySelector("#profile")) throw new Error("another page");
    for (const secret of form.querySelectorAll("input[type=password]")) {
      const same = [...next.querySelectorAll("input[type=password]")].find((field) => field.name === secret.name);
      if (same) same.value = secret.value;
    }
    const more = form.querySelector("details");
    if (more && more.open) next.querySelector("details").open = true;
    for (const hint of next.querySelectorAll("[data-secrets]")) hint.remove();
    document.querySelector("main").replaceWith(next);
    (document.querySelector("#report") || document.querySelector(".summary") || next).focus();
    zone();
  } catch {
    // What went wrong, the page itself says.
    button.textContent = label;
    button.removeAttribute("aria-disabled");
    delete form.dataset.sent;
    form.dataset.plain = "yes";
    form.requestSubmit(button);
  }
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  if (button && button.value === "test" && !form.dataset.plain) {
    event.preventDefault();
    test(form, button);
  }
});

// A page that is shown again by the Back button can be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form")) delete form.dataset.sent;
});

zone();
