import { BackToMore } from "../components/backToMore.tsx";
import { Empty } from "../components/empty.tsx";
import { Skeleton } from "../components/skeleton.tsx";
import { Sparkline } from "../components/sparkline.tsx";
import { useStatistics } from "../functionStatistics.ts";
import { saidIn, sumPerMinute, type FunctionErrorView, type FunctionView } from "../functionSums.ts";
import { useSpeech } from "../language/language.tsx";

/** How the control plane's functions did in the last hour: how often, how fast, and what went wrong where. */
export function FunctionsScreen() {
  const { words } = useSpeech();
  const stats = useStatistics();
  return (
    <div className="screen functions">
      <BackToMore />
      <div className="screen-head">
        <h1>{words.functions.title}</h1>
        {stats && <Sums functions={stats.functions} />}
      </div>
      {stats === undefined && <Skeleton rows={5} />}
      {stats === null && <Empty title={words.functions.unknown} hint={words.functions.unknownHint} />}
      {stats?.functions.length === 0 && <Empty title={words.functions.quiet} hint={words.functions.quietHint} />}
      {stats && stats.functions.length > 0 && (
        <>
          <Together functions={stats.functions} />
          <div className="columns">
            <div>
              <Functions functions={stats.functions} />
            </div>
            <div>
              <Errors errors={stats.errors} />
            </div>
          </div>
        </>
      )}
    </div>
  );
}

function Sums({ functions }: { functions: readonly FunctionView[] }) {
  const { words } = useSpeech();
  const calls = functions.reduce((sum, one) => sum + one.calls, 0);
  const errors = functions.reduce((sum, one) => sum + one.errors, 0);
  const sums = [words.functions.calls(calls), errors > 0 && words.functions.failed(errors)].filter((sum) => sum !== false);
  return (
    <p className="sums" data-testid="function-sums">
      {sums.join(" · ")}
    </p>
  );
}

function Together({ functions }: { functions: readonly FunctionView[] }) {
  const { words, number } = useSpeech();
  const sums = sumPerMinute(functions);
  return (
    <figure className="pulse">
      <figcaption>
        <span>{words.functions.perMinute}</span>
        <span className="pulse-now">{words.functions.most(number(Math.max(0, ...sums)))}</span>
      </figcaption>
      <Sparkline values={sums} label={words.functions.perMinute} isLarge />
      <div className="pulse-ends" aria-hidden="true">
        <span>{words.functions.hourAgo}</span>
        <span>{words.functions.now}</span>
      </div>
    </figure>
  );
}

function Functions({ functions }: { functions: readonly FunctionView[] }) {
  const { words } = useSpeech();
  return (
    <section className="section">
      <h2>{words.functions.each}</h2>
      <ul className="rows">
        {functions.map((one) => (
          <FunctionRow key={one.path} view={one} />
        ))}
      </ul>
    </section>
  );
}

function FunctionRow({ view }: { view: FunctionView }) {
  const { words, number } = useSpeech();
  const { path, kind, calls, errors, p50Ms, p95Ms, perMinute } = view;
  const facts = [words.functions.kinds[kind], words.functions.calls(calls)];
  if (p50Ms !== undefined && p95Ms !== undefined)
    facts.push(...[`p50 ${number(p50Ms)} ms`, `p95 ${number(p95Ms)} ms`].map((fact) => fact.replaceAll(" ", "\u00A0")));
  return (
    <li className="row" data-testid="function-row" data-path={path}>
      <div className="row-head">
        <span className="row-name">
          <span className="function-name">{path}</span>
          <span className="row-facts">{facts.join(" · ")}</span>
          {errors > 0 && <span className="row-why">{words.functions.failed(errors)}</span>}
        </span>
        <Sparkline values={perMinute} />
      </div>
    </li>
  );
}

function Errors({ errors }: { errors: readonly FunctionErrorView[] }) {
  const { words, when } = useSpeech();
  return (
    <section className="section">
      <h2>{words.functions.errors}</h2>
      {errors.length === 0 && <p className="fine">{words.functions.noErrors}</p>}
      <ol className="event-list">
        {errors.map((error) => (
          <li key={`${error.path} ${error.place} ${error.message}`} className="event" data-testid="function-error">
            <time dateTime={new Date(error.at).toISOString()}>{when(error.at)}</time>
            <span className="function-error">
              <span>{saidIn(error.message)}</span>
              <span className="function-place">
                {[error.path, error.place && `convex/${error.place}`].filter(Boolean).join(" · ")}
                {error.times > 1 && ` · ${words.functions.times(error.times)}`}
              </span>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
