// Searches under a name, kept by the server: everyone who uses it sees them.

import { deleteSearch, saveSearch, savedSearches } from "./api.js";
import { parts } from "./state.js";
import { $, button, copy, element, visible } from "./text.js";

export function startSaved(asked) {
  $("saved").addEventListener("toggle", () => $("saved").open && list());
  $("save").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { live: _, ...search } = Object.fromEntries(parts(asked()));
    await attempt(() => saveSearch($("save-name").value.trim(), search));
    $("save-name").value = "";
    await list();
  });
  if (!navigator.clipboard) $("copy-link").hidden = true;
  $("copy-link").addEventListener("click", () => {
    copy(`${location.origin}${location.pathname}?${parts(asked(), true)}`, $("copy-link"));
  });
}

async function list() {
  const answer = await attempt(savedSearches);
  if (!answer) return;
  const rows = answer.searches.map(({ name, search }) => {
    const link = element("a", { href: `?${new URLSearchParams(search)}`, title: visible(search.q ?? "every log") }, visible(name));
    const label = visible(`Delete ${name}`);
    const remove = button("×", { className: "close", title: label, ariaLabel: label }, async () => {
      await attempt(() => deleteSearch(name));
      await list();
    });
    return element("li", {}, link, remove);
  });
  $("saved-list").replaceChildren(...rows);
  $("saved-note").textContent = rows.length ? "" : "None yet. Name this one:";
}

async function attempt(act) {
  try {
    $("saved-note").textContent = "";
    return await act();
  } catch (problem) {
    $("saved-note").textContent = problem.detail ?? String(problem);
    return null;
  }
}
