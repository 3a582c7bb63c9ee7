/** The commands about pictures. See program.ts. */
import type { Command } from "commander";
import { passagesPerAnswerMax } from "../../convex/model/answer.ts";
import type { Client } from "./client.ts";
import type { PicturesOptions } from "./pictures.ts";
import type { Context } from "./program.ts";

type Tools<Flags> = {
  readonly clientOf: (command: Command) => Promise<Client>;
  readonly countFlag: (max: number) => (text: string) => number;
  readonly addSearchFlags: (command: Command) => void;
  readonly toAskOptions: (flags: Flags) => Omit<PicturesOptions, "like">;
};

export function addPictureCommands<Flags>(program: Command, context: Context, tools: Tools<Flags>): void {
  const pictures = program
    .command("pictures")
    .summary("pictures in the documents, found by what is said of them or what they look like");
  const search = pictures
    .command("search")
    .summary("the pictures that bear on some words, or look like one of yours")
    .argument("[words...]", "what the pictures show, or what stands in them; quotes may be left away")
    .option("--like <file>", "a picture, in place of words")
    .option("--limit <n>", "how many pictures", tools.countFlag(passagesPerAnswerMax), 10)
    .action(async (words: string[], flags: Flags & { readonly like?: string }, command: Command) => {
      const client = await tools.clientOf(command);
      const { runPictures } = await import("./pictures.ts");
      const { like } = flags;
      await runPictures(context.terminal, client, words.join(" "), {
        ...tools.toAskOptions(flags),
        ...(like !== undefined && { like }),
      });
    });
  tools.addSearchFlags(search);
}
