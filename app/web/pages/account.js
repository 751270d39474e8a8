// Sends the form of the page as JSON to the API, and shows what the API says.
"use strict";

const form = document.querySelector("form");
const message = document.getElementById("message");
const button = form.querySelector("button");

const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  form.elements.token.value = token;
  history.replaceState(null, "", location.pathname); // it shall not stay in the history
}

document.getElementById("show").addEventListener("change", (event) => {
  form.elements.password.type = event.target.checked ? "text" : "password";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  message.textContent = "One moment …";
  message.textContent = await send(Object.fromEntries(new FormData(form)));
  button.disabled = false;
});

async function send(wish) {
  let response;
  try {
    response = await fetch(form.dataset.api, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(wish),
    });
  } catch {
    return "The server does not answer. Try again in a moment.";
  }
  if (response.ok) {
    form.hidden = true;
    return form.dataset.done;
  }
  return explain(await response.json().catch(() => ({})));
}

function explain(problem) {
  const fields = (problem.errors || []).map((error) => `${error.field}: ${error.message}`);
  return [problem.detail || "The server can't do this now. Try again in a moment.", ...fields].join("\n");
}
