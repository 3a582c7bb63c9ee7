/** The one-time code of a link like `http://127.0.0.1:6452/#link=CODE`; undefined when the fragment is something else. */
export function findLinkCode(fragment: string): string | undefined {
  const code = new URLSearchParams(fragment.replace(/^#/, "")).get("link");
  return code === null || code === "" ? undefined : code;
}
