/** A model's record as a page of Markdown, for whoever has to say what a model is, what it was made of and how it was judged. */
import type { ModelView } from "./model.ts";

const verdicts = { refused: "not trained", rejected: "trained, and not better", better: "trained, and better" } as const;

/** In English, as records are. `isInForce`: searches go by it now. */
export function modelCard({ id, at, seed, result, againOf }: ModelView, { isInForce }: { isInForce: boolean }): string {
  const made = new Date(at).toISOString().slice(0, 10);
  const lines = [
    `# Model ${id}`,
    "",
    `An embedding of passages and questions, made on ${made} by Nika on its owner's machine from its owner's documents and use.`,
    ...(againOf ? [`Made again from the record of ${againOf}.`] : []),
    isInForce ? "Searches go by it now." : "Searches do not go by it now.",
  ];
  if (!result) return `${[...lines, "", "It is not trained."].join("\n")}\n`;
  const { trained, checks } = result;
  lines.push("", `**${verdicts[result.verdict]}.** ${plain(result.says)}`, "", "## Data", "");
  lines.push(
    `- Digest: \`${result.dataSha256}\``,
    `- ${result.trainingPairs} pairs of a question and a passage, ${result.askedPairs} of them asked by people; the others are headings and runs of words${result.written ? ", or were written by a language model" : ""}.`,
    ...(result.written
      ? [
          `- Made by ${result.written.by.map(plain).join(", ")}: ${result.written.pairs} of the pairs, and ${result.written.rivals} passages that only look like answers.`,
        ]
      : []),
    `- ${result.documents} documents; judged by ${result.testQuestions} questions about documents without a pair in training, ${result.madeTestQuestions} of them made.`,
    "- Split by document, with its copies, and by time. Consent: only documents of the scopes that the owner allowed.",
  );
  if (trained) {
    const { fusion, beginning, lora } = trained;
    lines.push("", "## Recipe", "", `- Seed ${seed}; compared with ${result.against}.`);
    lines.push(
      lora
        ? `- LoRA of rank ${lora.rank} (alpha ${lora.alpha}) beside ${lora.base}, on ${lora.device}.`
        : `- A table of words, InfoNCE; temperature ${trained.temperature}, rate ${trained.rate}, ${trained.negatives} hard negatives, ${trained.epochs} epochs, ${Math.round(trained.share * 100)} % of what was learned.`,
    );
    if (beginning)
      lines.push(
        `- It began with ${beginning.isEven ? "directions made even" : "the baseline's directions"}, company ${beginning.company}, use ${beginning.use}.`,
      );
    lines.push(
      `- Joined with words by ${fusion.method}, vectors ${fusion.dense} to words ${fusion.lexical}.`,
      `- Files: \`${trained.sha256}\`, ${(trained.sizeBytes / 2 ** 20).toFixed(1)} MiB.`,
      "",
      "## How well",
      "",
      "| NDCG@10 | difference | 95 % from | to |",
      "|---|---|---|---|",
      row("by vectors", trained.denseDifference),
      row("both together", trained.hybridDifference),
    );
  }
  if (checks.length > 0) {
    lines.push("", "## Conditions", "", "| condition | met | found |", "|---|---|---|");
    for (const { name, passed, says } of checks) lines.push(`| ${cell(name)} | ${passed ? "yes" : "**no**"} | ${cell(says)} |`);
  }
  lines.push(
    "",
    "## Limits",
    "",
    trained?.lora
      ? "- It is as good in other languages as its base is."
      : "- It does not know the order of words, and of words that neither documents nor questions had it knows the letters only.",
    "- It was made for one owner's documents and is of no use with others. It holds words of them: do not hand it on.",
    "",
    `Make it again: \`nika model train --again ${id}\``,
  );
  return `${lines.join("\n")}\n`;
}

type Difference = { readonly mean: number; readonly from: number; readonly to: number };

const row = (name: string, { mean, from, to }: Difference): string =>
  `| ${name} | ${signed(mean)} | ${signed(from)} | ${signed(to)} |`;
const signed = (value: number): string => `${value >= 0 ? "+" : ""}${value.toFixed(3)}`;
/** What somebody asked may hold anything. */
const plain = (text: string): string => text.replaceAll(/\s+/gu, " ").replaceAll(/[<>*_`[\]\\]/gu, "\\$&");
const cell = (text: string): string => plain(text).replaceAll("|", "\\|");
