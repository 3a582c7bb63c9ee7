/** Which hosts a package's own code names: what it may want to reach, for the owner to allow or not. A hint; a host can be put together. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const filesMax = 400;
const fileBytesMax = 2 * 1024 * 1024;
const shownMax = 12;
/** Named in comments, licences and schemas everywhere. */
const idle =
  /(?:^|\.)(?:github\.com|githubusercontent\.com|npmjs\.com|npmjs\.org|nodejs\.org|json-schema\.org|w3\.org|mozilla\.org|opensource\.org|apache\.org|modelcontextprotocol\.io|schema\.org|example\.(?:com|org|net)|ietf\.org|python\.org|pypi\.org|stackoverflow\.com|wikipedia\.org)$/;

/** `host:port`, most named first. */
export function hostsNamed(dir: string): string[] {
  const counts = new Map<string, number>();
  let files = 0;
  const look = (folder: string): void => {
    for (const one of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, one.name);
      if (one.isDirectory()) {
        if (one.name !== "node_modules" && one.name !== "test" && one.name !== "tests") look(path);
      } else if (one.isFile() && /\.(?:[cm]?js|py)$/.test(one.name) && files++ < filesMax && statSync(path).size <= fileBytesMax)
        for (const [, scheme, host = "", port] of readFileSync(path, "utf8").matchAll(
          /\b(https?):\/\/([a-z0-9][a-z0-9.-]*\.[a-z]{2,})(?::(\d{1,5}))?/gi,
        )) {
          const name = host.toLowerCase();
          if (idle.test(name)) continue;
          const to = `${name}:${port ?? (scheme?.toLowerCase() === "http" ? "80" : "443")}`;
          counts.set(to, (counts.get(to) ?? 0) + 1);
        }
    }
  };
  // A package of a single file has no folder.
  if (existsSync(dir)) look(dir);
  return [...counts]
    .toSorted((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1))
    .slice(0, shownMax)
    .map(([to]) => to);
}
