/** The commands about rented machines, and this one as a machine that work is sent to. See program.ts. */
import { InvalidArgumentError, type Command } from "commander";
import type { BillFlags } from "./gpuBills.ts";
import { clientOf, configOf, countFlag, isJson, jsonFlag, type Context } from "./context.ts";
import { providers } from "../../convex/model/gpu.ts";
import type { AskFlags, CapFlags, ConnectFlags, HostFlags, OfferFlags, ProviderDay, RunFlags } from "./gpuFlags.ts";
import { addSimCommand } from "./scaleProgram.ts";

export function addGpuCommands(program: Command, context: Context): void {
  program.commandsGroup("Rented machines:");
  const gpu = program.command("gpu").summary("send work to this machine, to yours, or to rented ones; see it and what it costs");
  const needing = (command: Command): Command =>
    command
      .option("--on <provider...>", "only there: local, ssh, runpod, aws, google, azure, scaleway, contabo")
      .option("--gpu <n>", "how many GPUs it needs", countFlag(64))
      .option("--gpu-memory <gb>", "memory of each GPU", positive)
      .option("--cpus <n>", "processors", countFlag(1024))
      .option("--memory <gb>", "memory", positive)
      .option("--disk <gb>", "disk", positive)
      .option("--eu", "only in the European Union; this machine counts as there")
      .option("--spot", "may be taken away at any time, for less; give it checkpoints")
      .option("--time <span>", "how long it may run at most, as in 90m, 6h or 2d", spanFlag, 3_600_000)
      .option("--cost <amount>", "what it may cost at most, in euros", positive);
  const asking = (command: Command): Command =>
    needing(command)
      .argument("<folder>", "what is sent: a folder, or a .tar, .tgz or .zip of one")
      .argument("<command...>", "what is run in it, after -- when it has flags; results go to the folder that NIKA_OUT names")
      .option("--label <name>", "what it is called")
      .option("--image <image>", "the container image it runs in")
      .option("--env <name=value...>", "variables for it; not for secrets, they are kept with the job")
      .addOption(jsonFlag());
  asking(gpu.command("quote"))
    .summary("what work would cost at most, where, and why there; spends nothing")
    .action(async (folder: string, words: string[], flags: AskFlags, command: Command) => {
      const { runGpuQuote } = await import("./gpu.ts");
      await runGpuQuote(context.terminal, await clientOf(command), {
        folder,
        words,
        flags,
        json: isJson(command),
        signal: context.signal,
      });
    });
  asking(gpu.command("run"))
    .summary("run a folder's command on a machine, show its output, and bring its results")
    .description(
      "Packs the folder, finds the cheapest machine that has what it needs, runs the command there and shows its output. Ctrl-C stops watching; " +
        "the work goes on, and `nika gpu cancel` ends it. Work that costs money is told first and asked about.",
    )
    .option("--out <folder>", "copy the results there")
    .option("--detach", "start it and do not wait")
    .option("--yes", "do not ask about what it costs")
    .action(async (folder: string, words: string[], flags: RunFlags, command: Command) => {
      const { runGpuRun } = await import("./gpu.ts");
      const code = await runGpuRun(context.terminal, await clientOf(command), {
        folder,
        words,
        flags,
        json: isJson(command),
        signal: context.signal,
      });
      context.exit(code);
    });
  gpu
    .command("list")
    .summary("work that was sent out, and machines that are there")
    .option("--limit <n>", "how many jobs", countFlag(200), 20)
    .addOption(jsonFlag())
    .action(async ({ limit }: { limit: number }, command: Command) => {
      const { runGpuList } = await import("./gpu.ts");
      await runGpuList(context.terminal, await clientOf(command), { limit, json: isJson(command) });
    });
  gpu
    .command("show <job>")
    .summary("all there is to know of one piece of work: where, since when, what it costs, its machines, checkpoints and results")
    .addOption(jsonFlag())
    .action(async (job: string, _flags: object, command: Command) => {
      const { runGpuShow } = await import("./gpuShow.ts");
      await runGpuShow(context.terminal, await clientOf(command), { job, json: isJson(command) });
    });
  gpu
    .command("logs <job>")
    .summary("the output of work; with --follow as it comes")
    .option("-f, --follow", "until it is over")
    .option(
      "--attempt <n>",
      "what it wrote on its nth machine, not on the last one; `nika gpu show` lists them",
      countFlag(1_000_000),
    )
    .action(async (job: string, { follow = false, attempt }: { follow?: boolean; attempt?: number }, command: Command) => {
      const { runGpuLogs } = await import("./gpu.ts");
      await runGpuLogs(context.terminal, await clientOf(command), { job, follow, attempt, signal: context.signal });
    });
  gpu
    .command("fetch <job>")
    .summary("bring the results of work that is done")
    .requiredOption("--out <folder>", "copy them there")
    .addOption(jsonFlag())
    .action(async (job: string, { out }: { out: string }, command: Command) => {
      const { runGpuFetch } = await import("./gpu.ts");
      await runGpuFetch(context.terminal, await clientOf(command), { job, out, json: isJson(command) });
    });
  gpu
    .command("cancel <job>")
    .summary("end work, and its machine")
    .addOption(jsonFlag())
    .action(async (job: string, _flags: object, command: Command) => {
      const { runGpuCancel } = await import("./gpu.ts");
      await runGpuCancel(context.terminal, await clientOf(command), { job, json: isJson(command) });
    });
  gpu
    .command("sweep")
    .summary("look through all accounts for machines of ours whose time is over")
    .option("--end", "end what is overdue, instead of only telling")
    .option("--alone", "by the keys in the data folder alone, while Nika is down or its database is lost")
    .addOption(jsonFlag())
    .action(async ({ end = false, alone = false }: { end?: boolean; alone?: boolean }, command: Command) => {
      if (alone) {
        const { runSweepAlone } = await import("./gpuAlone.ts");
        const flags = { end, json: isJson(command), signal: context.signal };
        return runSweepAlone(context.terminal, configOf(command), flags);
      }
      const { runGpuSweep } = await import("./gpu.ts");
      await runGpuSweep(context.terminal, await clientOf(command), { end, json: isJson(command) });
    });
  gpu
    .command("panic")
    .summary("end all machines everywhere, now, and rent nothing more until `nika gpu resume`")
    .option("--yes", "do not ask")
    .option("--alone", "by the keys in the data folder alone, while Nika is down or its database is lost")
    .action(async ({ yes = false, alone = false }: { yes?: boolean; alone?: boolean }, command: Command) => {
      if (alone) {
        const { runPanicAlone } = await import("./gpuAlone.ts");
        return runPanicAlone(context.terminal, configOf(command), { yes, signal: context.signal });
      }
      const { runGpuPanic } = await import("./gpu.ts");
      await runGpuPanic(context.terminal, await clientOf(command), { yes, signal: context.signal });
    });
  gpu
    .command("resume")
    .summary("rent again, after a panic")
    .action(async (_flags: object, command: Command) => {
      const { runGpuResume } = await import("./gpu.ts");
      await runGpuResume(context.terminal, await clientOf(command));
    });
  gpu
    .command("spend")
    .summary("what it costs an hour now, what is set aside, what was spent, and what may be")
    .option("--day <amount>", "from now on at most so many euros a day", positive)
    .option("--month <amount>", "at most so many euros a month", positive)
    .option("--job <amount>", "at most so many euros for one job", positive)
    .option("--agent <amount>", "at most so many euros a day for each agent", positive)
    .option("--hour <amount>", "at most so many euros an hour for all machines together", positive)
    .option(
      "--provider-day <name=amount>",
      "at most so many euros a day at that provider, or none; may be repeated",
      providerAmount,
    )
    .option(
      "--rate <dollars>",
      "what a euro is worth: by it what is billed in dollars counts (until set, a dollar counts as a euro)",
      positive,
    )
    .addOption(jsonFlag())
    .action(async (flags: CapFlags, command: Command) => {
      const { runGpuSpend } = await import("./gpu.ts");
      await runGpuSpend(context.terminal, await clientOf(command), { caps: flags, json: isJson(command) });
    });
  needing(gpu.command("offers"))
    .summary("what all providers would let now, by what it would come to; spends nothing")
    .description(
      "Asks every provider that is set up, and ranks what they offer as placing work does: by what is to be expected in all, with the chance that " +
        "there is none, and that it is taken away.",
    )
    .option("--limit <n>", "how many are shown", countFlag(500), 20)
    .addOption(jsonFlag())
    .action(async (flags: OfferFlags, command: Command) => {
      const { runGpuOffers } = await import("./gpuOffers.ts");
      await runGpuOffers(context.terminal, await clientOf(command), { flags, json: isJson(command), signal: context.signal });
    });
  gpu
    .command("ssh <machine> [command...]")
    .summary("sign in to a rented machine by its own key, which is a file only for as long as that takes")
    .description(
      "MACHINE is its name, or part of it, as `nika gpu list` shows it. Needs the program `ssh`. Where the machine's key was made here, another one is refused. " +
        "A command's flags come after --.",
    )
    .option("--key-file <file>", "instead of signing in, write the private key to this new file, and say how to use it")
    .action(async (machine: string, words: string[], { keyFile }: { keyFile?: string }, command: Command) => {
      const { runGpuSsh } = await import("./gpuSsh.ts");
      const asked = { machine, words, keyFile, signal: context.signal };
      context.exit(await runGpuSsh(context.terminal, await clientOf(command), asked));
    });
  gpu
    .command("console <machine>")
    .summary("what a rented machine's provider has of its output: for one that never dialled in")
    .action(async (machine: string, _flags: object, command: Command) => {
      const { runGpuConsole } = await import("./gpuSsh.ts");
      await runGpuConsole(context.terminal, await clientOf(command), { machine, signal: context.signal });
    });
  gpu
    .command("bills")
    .summary("what providers say that they billed, day by day, beside what is known here")
    .description(
      "Bills are read once a day and held against what Nika knows to have spent. What is billed and not known may be a machine that nobody sees: " +
        "that is told in red until you say that you saw it.",
    )
    .option("--ask", "read them now")
    .option("--seen <provider>", "you have seen what is billed too much there")
    .addOption(jsonFlag())
    .action(async (flags: BillFlags, command: Command) => {
      const { runGpuBills } = await import("./gpuBills.ts");
      await runGpuBills(context.terminal, await clientOf(command), { flags, json: isJson(command) });
    });
  gpu
    .command("add-host <address>")
    .summary("send work to a machine you have, by SSH")
    .description(
      "ADDRESS is user@host or user@host:port. It is signed in to by a key of Nika's own, and its key is pinned once you agreed to it.",
    )
    .option("--name <name>", "what it is called here")
    .option("--slots <n>", "pieces of work at a time", countFlag(64), 1)
    .option("--yes", "agree to the key that answers")
    .action(async (address: string, flags: HostFlags, command: Command) => {
      const { runGpuAddHost } = await import("./gpuConnect.ts");
      await runGpuAddHost(context.terminal, await clientOf(command), { address, flags, signal: context.signal });
    });
  gpu
    .command("connect [provider]")
    .summary("set up a provider, and look at what is free to look at; without a name, which there are")
    .description(
      "Credentials come from a file (--credentials-file, JSON), from a pipe, or from prompts that do not show them, and go to the store of secrets. " +
        "What costs nothing is then looked at: key, rights, quota, stock. With --prove, and your consent, a machine is rented for a few minutes: it " +
        "runs nvidia-smi, Nika stops answering it, and the machine has to end itself and its bill with it. `connect tailscale` has rented machines " +
        "reach Nika over your tailnet instead of by a tunnel that Nika lays.",
    )
    .option("--credentials-file <file>", "JSON with the provider's fields")
    .option("--prove", "the paid proof, after a quote")
    .option("--yes", "do not ask about what the proof costs")
    .option("--forget", "forget its credentials")
    .addOption(jsonFlag())
    .action(async (provider: string | undefined, flags: ConnectFlags, command: Command) => {
      const { runGpuConnect } = await import("./gpuConnect.ts");
      const asked = { provider, flags, json: isJson(command), signal: context.signal };
      context.exit(await runGpuConnect(context.terminal, await clientOf(command), asked));
    });
  addSimCommand(gpu, context);
}

function positive(text: string): number {
  const value = Number(text.replace(",", "."));
  if (!(value >= 0) || text.trim() === "") throw new InvalidArgumentError("It must be a number from 0.");
  return value;
}

function providerAmount(text: string, before: ProviderDay = {}): ProviderDay {
  const [name = "", amount = ""] = text.split("=");
  if (!providers.some((id) => id === name))
    throw new InvalidArgumentError(`It must be one of ${providers.join(", ")}, =, and an amount or none: runpod=5.`);
  return { ...before, [name]: amount === "none" ? amount : positive(amount) };
}

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function spanFlag(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)\s*([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) throw new InvalidArgumentError("It must be a span such as 90m, 6h or 2d.");
  return Math.round(Number(count) * units[unit as keyof typeof units]);
}
