// Light, dark, or as the system is.

import { remember, remembered } from "./state.js";
import { $ } from "./text.js";

const NAMES = { auto: "as the system", light: "light", dark: "dark" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };

export function startTheme() {
  let theme = remembered("theme", "auto");
  const show = () => {
    if (!(theme in NAMES)) theme = "auto";
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const next = $("theme");
    next.textContent = SIGNS[theme];
    next.title = next.ariaLabel = `Colours: ${NAMES[theme]}`;
  };
  $("theme").addEventListener("click", () => {
    const names = Object.keys(NAMES);
    theme = names[(names.indexOf(theme) + 1) % names.length];
    remember("theme", theme);
    show();
  });
  show();
}
