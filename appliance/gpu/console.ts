/** What a machine's provider has of its output: the only thing to go by when what runs on it never dialled in. */
import { NikaError } from "../../convex/model/error.ts";
import { findMachine, type SigningIn } from "./ssh/signIn.ts";

/** Some tell it in pieces, and an end may come late; so many are read at most. */
const piecesMax = 20;

export async function consoleOf(
  wanted: string,
  { machines, providers, signal }: Pick<SigningIn, "machines" | "providers" | "signal">,
): Promise<{ readonly name: string; readonly text: string }> {
  const { name, ref, provider: id } = findMachine(wanted, machines);
  if (!ref) throw new NikaError("missing", `${name} is not known to exist yet.`);
  const provider = await providers.open(id);
  if (!provider.output) throw new NikaError("missing", `${id} tells no output of its machines; try \`nika gpu ssh ${name}\`.`);
  let text = "";
  let cursor: string | undefined;
  for (let piece = 0; piece < piecesMax; piece += 1) {
    const read = await provider.output(ref, cursor, signal);
    text += read.text;
    if (read.text === "" || read.cursor === undefined || read.cursor === cursor) break;
    ({ cursor } = read);
  }
  return { name, text };
}
