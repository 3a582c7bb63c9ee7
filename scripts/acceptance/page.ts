/** The page on a phone: Chromium at 390 px, with an eye on what moves and on what is asked of the appliance. */
import { join } from "node:path";
import { chromium, type BrowserContext, type Page } from "playwright-core";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export type Phone = AsyncDisposable & {
  readonly page: Page;
  /** Requests other than the live connection since the page had settled. */
  readonly requests: string[];
  readonly sockets: number;
  /** What went wrong inside the page. */
  readonly errors: string[];
};

/** Opens a page in a browser of its own, whose files all lie in `dir`. */
export async function openPhone(url: string, { dir, executablePath }: { dir: string; executablePath: string }): Promise<Phone> {
  const context: BrowserContext = await chromium.launchPersistentContext(join(dir, "browser"), {
    executablePath,
    headless: true,
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    args: flags,
    env: { HOME: dir, PATH: "/usr/bin:/bin" },
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const [requests, errors]: [string[], string[]] = [[], []];
  let sockets = 0;
  page.on("websocket", () => (sockets += 1));
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(url);
  await page.getByTestId("tab-activity").waitFor();
  page.on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
  return {
    page,
    requests,
    errors,
    get sockets() {
      return sockets;
    },
    async [Symbol.asyncDispose]() {
      await context.close();
    },
  };
}

/**
 * Runs inside the page, whose policy forbids evaluating text later on. Notes every amount of progress that each job's row shows; `moved`
 * becomes the first job that was seen moving and then done.
 */
const watching = `
  globalThis.moved = new Promise((resolve, reject) => {
    const seen = new Map();
    const look = () => {
      for (const row of document.querySelectorAll('[data-testid="job-row"]')) {
        const progress = seen.get(row.dataset.jobId) ?? [];
        seen.set(row.dataset.jobId, progress);
        const amount = row.querySelector("progress[value]")?.value;
        if (amount !== undefined && progress.at(-1) !== amount) progress.push(amount);
        if (progress.length > 1 && row.dataset.state === "done") resolve(progress);
      }
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
    setTimeout(() => reject(new Error("no job was seen moving: " + JSON.stringify([...seen.values()]))), 60_000);
  });
  undefined;
`;

export async function watchJobs(page: Page): Promise<void> {
  await page.evaluate(watching);
}

/** The amounts of progress that the page showed of one job, once it has shown the job done. */
export async function seeJobMove(page: Page): Promise<readonly number[]> {
  return page.evaluate("moved");
}

/** How wide the page wants to be, in CSS pixels. */
export async function widthOf(page: Page): Promise<number> {
  return page.evaluate("document.documentElement.scrollWidth");
}
