/** The commands about pictures. See program.ts. */
import type { Command } from "commander";
import { passagesPerAnswerMax } from "../../convex/model/answer.ts";
import { clientOf, countFlag, type Context } from "./context.ts";
import { addSearchFlags, toAskOptions, type SearchFlags } from "./searchFlags.ts";

export function addPictureCommands(program: Command, context: Context): void {
  const pictures = program
    .command("pictures")
    .summary("pictures in the documents, found by what is said of them or what they look like");
  const search = pictures
    .command("search")
    .summary("the pictures that bear on some words, or look like one of yours")
    .argument("[words...]", "what the pictures show, or what stands in them; quotes may be left away")
    .option("--like <file>", "a picture, in place of words")
    .option("--limit <n>", "how many pictures", countFlag(passagesPerAnswerMax), 10)
    .action(async (words: string[], flags: SearchFlags & { readonly like?: string }, command: Command) => {
      const client = await clientOf(command);
      const { runPictures } = await import("./pictures.ts");
      const { like } = flags;
      await runPictures(context.terminal, client, words.join(" "), {
        ...toAskOptions(flags),
        ...(like !== undefined && { like }),
      });
    });
  addSearchFlags(search);
}
