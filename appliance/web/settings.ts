/** The owner's choices as this browser applies them. The truth is in the control plane; a copy here spares a flash at the next start. */
import { defaultSettings, type Settings } from "../../convex/model/setting.ts";

const storageKey = "nika.settings";
const themeColors = { light: "#f3f5f2", dark: "#0e1412" } as const;

export function rememberedSettings(): Settings {
  try {
    return { ...defaultSettings, ...(JSON.parse(localStorage.getItem(storageKey) ?? "{}") as Partial<Settings>) };
  } catch {
    return defaultSettings; // Storage is refused, or holds something older than us.
  }
}

export function rememberSettings(settings: Settings): void {
  try {
    localStorage.setItem(storageKey, JSON.stringify(settings));
  } catch {
    // Storage is full or refused: the next start flashes, nothing more.
  }
}

/** Sets the page's theme and the colour of the browser's bars around it. */
export function showTheme(theme: Settings["theme"]): void {
  document.documentElement.dataset["theme"] = theme;
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
    const own = meta.media.includes("dark") ? "dark" : "light";
    meta.content = themeColors[theme === "auto" ? own : theme];
  }
}
