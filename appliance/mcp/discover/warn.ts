/** What an owner should know before something is installed: names that look like others, how young it is, whether both sides say the same. */
import type { Entry } from "../../../convex/model/entry.ts";
import { lookalikes, wellKnown, type Warning } from "../../../convex/model/lookalike.ts";
import type { PackagePin } from "../pool/kept.ts";
import type { NpmFacts } from "./npm.ts";
import type { PypiFacts } from "./pypi.ts";

export type Found = { readonly type: "npm"; readonly facts: NpmFacts } | { readonly type: "pypi"; readonly facts: PypiFacts };
export type WarnOptions = {
  /** Undefined when the package was named, and no registry of servers has a say. */
  readonly entry: Entry | undefined;
  readonly found: Found | undefined;
  /** Names of packages and servers here. */
  readonly installed: readonly string[];
  /** Names in registries that read like this one. */
  readonly likenesses: readonly string[];
  /** What is installed of it now. */
  readonly before: PackagePin | undefined;
  readonly now: number;
};

const dayMs = 24 * 3_600_000;
/** Most of what was ever taken down as malicious was found within its first weeks. */
const youngMs = 30 * dayMs;
const freshMs = 3 * dayMs;

/** Grave ones first. */
export function warningsOf({ entry, found, installed, likenesses, before, now }: WarnOptions): Warning[] {
  const warnings: Warning[] = [];
  const warn = (code: Warning["code"], text: string, isGrave = true): void => void warnings.push({ code, text, isGrave });
  const known = [...new Set([...installed, ...wellKnown])];
  const name = found?.facts.name ?? entry?.name;
  if (name !== undefined && before?.name !== name) warnings.push(...lookalikes(name, known));
  if (entry && found && entry.name !== name) warnings.push(...lookalikes(entry.name, installed));
  const twin = likenesses.find((one) => one !== name);
  if (twin !== undefined && !warnings.some(({ code }) => code === "letters"))
    warn("letters", `A registry also has "${twin}", which reads the same.`);
  if (entry?.status === "deprecated") warn("deprecated", "Its registry says that it is not kept up any more.");
  if (found?.type === "npm") {
    const { facts } = found;
    const age = (at: number | undefined): number => (at === undefined ? Number.POSITIVE_INFINITY : now - at);
    if (age(facts.createdAt) < youngMs)
      warn(
        "young",
        `The package is ${days(age(facts.createdAt))} old; what is bad in new packages is often found in their first weeks.`,
      );
    else if (age(facts.publishedAt) < freshMs) warn("young", `This version is ${days(age(facts.publishedAt))} old.`, false);
    if (facts.deprecated !== undefined) warn("deprecated", `Its publisher says: ${facts.deprecated.slice(0, 200)}`);
    if (facts.signature === "absent") warn("unsigned", "Its registry signs packages, and this one is not signed.");
    if (
      before?.publisher !== undefined &&
      facts.publisher !== undefined &&
      before.publisher !== facts.publisher &&
      !facts.maintainers.includes(before.publisher)
    )
      warn(
        "publisher",
        `${before.version} was published by ${before.publisher}, who is not among its publishers any more; this version is by ${facts.publisher}.`,
      );
    else if (
      facts.publisher !== undefined &&
      facts.maintainers.length > 0 &&
      !facts.maintainers.includes(facts.publisher) &&
      !/GitHub Actions/i.test(facts.publisher)
    )
      warn("publisher", `This version was published by ${facts.publisher}, who is not among the package's maintainers.`);
    if (entry && facts.mcpName !== undefined && facts.mcpName !== entry.name)
      warn(
        "ownership",
        `The registry says that ${facts.name} is ${entry.name}; the package itself says that it is ${facts.mcpName}.`,
      );
    else if (entry && facts.mcpName === undefined)
      warn("ownership", `Nothing in ${facts.name} says that it is ${entry.name}, as its registry claims.`);
  }
  if (found?.type === "pypi" && entry && !found.facts.about.includes(`mcp-name: ${entry.name}`))
    warn("ownership", `Nothing in ${found.facts.name} says that it is ${entry.name}, as its registry claims.`);
  const [theirs, ours] = [ownerOf(found?.facts.repository), ownerOf(entry?.repository)];
  if (theirs !== undefined && ours !== undefined && theirs !== ours)
    warn("publisher", `The registry names the repository of ${ours}, the package that of ${theirs}.`);
  return warnings.toSorted((left, right) => Number(right.isGrave) - Number(left.isGrave));
}

function days(ms: number): string {
  const count = Math.max(0, Math.floor(ms / dayMs));
  return count === 0 ? "less than a day" : count === 1 ? "one day" : `${count} days`;
}

/** Who owns a repository, where that stands in its address. */
function ownerOf(repository: string | undefined): string | undefined {
  const [, host, owner] = /(github\.com|gitlab\.com|codeberg\.org)[/:]([^/]+)\//i.exec(repository ?? "") ?? [];
  return host === undefined || owner === undefined ? undefined : `${host}/${owner}`.toLowerCase();
}
