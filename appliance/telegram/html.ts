/** A post as Telegram's HTML: three characters mean something there, and nothing else does. The agent's name stands out. */
export function toHtml(text: string, target?: string): string {
  const head =
    target === undefined ? undefined : [`→ ${target} ‼:`, `→ ${target}:`, `${target} `].find((start) => text.startsWith(start));
  if (head === undefined) return escapeHtml(text);
  return `<b>${escapeHtml(head.trimEnd())}</b>${head.endsWith(" ") ? " " : ""}${escapeHtml(text.slice(head.length))}`;
}

const escapeHtml = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
