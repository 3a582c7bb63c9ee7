import type { Comparison, ComparisonView, ModelMeasures } from "../../../convex/model/comparison.ts";
import { useSpeech } from "../language/language.tsx";
import type { Words } from "../language/words.ts";
import { comparedName } from "./inForce.tsx";

type Interval = { readonly mean: number; readonly from: number; readonly to: number };

/** What came of a comparison: a sentence, then what it rests on. */
export function ComparisonRow({ comparison, isOpen }: { comparison: ComparisonView; isOpen: boolean }) {
  const { words, when } = useSpeech();
  const said = words.models;
  const { at, one, other, state, problem, result } = comparison;
  const nameFor = (wanted: string): string => comparedName(wanted, said, said.compare.liveThen);
  const names = [one, ...(other === undefined ? [] : [other])].map(nameFor);
  return (
    <li className="row model-row" data-testid="comparison" data-state={state}>
      <div className="row-head">
        <span className="row-name">
          <span>{names.join(" · ")}</span>
          <span className="row-facts">{when(at)}</span>
          {state === "failed" && <span className="row-why">{problem ?? said.compare.failed}</span>}
          {result && <Said result={result} name={names.at(-1) ?? ""} said={said.compare} />}
        </span>
      </div>
      {result?.one && (
        <details open={isOpen}>
          <summary>{said.compare.figures}</summary>
          <Figures result={result} names={names} />
        </details>
      )}
    </li>
  );
}

function Said({ result, name, said }: { result: Comparison; name: string; said: Words["models"]["compare"] }) {
  const { hybridDifference: difference } = result;
  if (!result.one) return <span className="row-why">{said.nothing}</span>;
  if (!difference) return null;
  const isWorse = difference.to < 0;
  const text = difference.from > 0 ? said.better(name) : isWorse ? said.worse(name) : said.same;
  return (
    <span className={isWorse ? "row-why" : "row-facts"} data-testid="comparison-says">
      {text}
    </span>
  );
}

function Figures({ result, names }: { result: Comparison; names: readonly string[] }) {
  const { words, number, bytes } = useSpeech();
  const said = words.models.compare;
  const { one, other, hybridDifference, denseDifference, slices, moved, pinned } = result;
  const both: readonly ModelMeasures[] = [one, other].flatMap((measures) => measures ?? []);
  const figure = (value: number): string => number(Math.round(value * 1_000) / 1_000);
  const signed = (value: number): string => `${value >= 0 ? "+" : "−"}${figure(Math.abs(value))}`;
  const interval = ({ mean, from, to }: Interval, shown: (value: number) => string): string =>
    `${shown(mean)} (${shown(from)} … ${shown(to)})`;
  const share = (value: number): string => `${number(Math.round(value * 100))}\u00a0%`;
  const rows: readonly (readonly [string, (measures: ModelMeasures) => string, Interval | undefined])[] = [
    [said.height, ({ hybrid }) => interval(hybrid.ndcg, figure), hybridDifference],
    [said.heightAlone, ({ dense }) => interval(dense.ndcg, figure), denseDifference],
    [said.amongTen, ({ hybrid }) => share(hybrid.recall), undefined],
    [said.takes, ({ latencyMs }) => words.ask.took(Math.round(latencyMs * 10) / 10), undefined],
    [said.size, ({ sizeBytes }) => bytes(sizeBytes), undefined],
  ];
  return (
    <div className="model-evidence" data-testid="comparison-figures">
      <p className="fine">
        {said.on(number(result.questions), number(result.madeQuestions))} {said.scale}
      </p>
      {rows.map(([label, of, difference]) => (
        <dl key={label} className="model-figure">
          <dt>{label}</dt>
          {both.map((measures, at) => (
            <dd key={names[at] ?? at}>
              <span>{names[at]}</span> {of(measures)}
            </dd>
          ))}
          {difference && (
            <dd>
              <span>{said.difference}</span> {interval(difference, signed)}
            </dd>
          )}
        </dl>
      ))}
      <Moved title={said.rose} moved={moved.filter((move) => move.other > move.one)} figure={figure} />
      <Moved title={said.fell} moved={moved.filter((move) => move.other < move.one)} figure={figure} />
      {pinned.length > 0 && <h3>{said.pinned}</h3>}
      <ul className="model-moved">
        {pinned.map((pin) => (
          <li key={pin.question}>
            <span>{pin.question}</span>
            <span className="fine">
              {[pin.one, ...(pin.other === undefined ? [] : [pin.other])]
                .map((isAnswered) => (isAnswered ? said.isAnswered : said.isLost))
                .join(" → ")}
            </span>
          </li>
        ))}
      </ul>
      {slices.length > 0 && (
        <details>
          <summary>{said.kinds}</summary>
          <table className="model-table">
            <thead>
              <tr>
                {[said.kind, said.asked, ...names].map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {slices.map((slice) => (
                <tr key={slice.name}>
                  <th scope="row" lang="en">
                    {slice.name}
                  </th>
                  <td>{number(slice.questions)}</td>
                  <td>{figure(slice.one)}</td>
                  {slice.other !== undefined && <td>{figure(slice.other)}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </div>
  );
}

type MovedProps = {
  readonly title: string;
  readonly moved: Comparison["moved"];
  readonly figure: (value: number) => string;
};

const movedShown = 5;

function Moved({ title, moved, figure }: MovedProps) {
  const { words } = useSpeech();
  if (moved.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <MovedList moved={moved.slice(0, movedShown)} figure={figure} />
      {moved.length > movedShown && (
        <details>
          <summary>{words.documents.more}</summary>
          <MovedList moved={moved.slice(movedShown)} figure={figure} />
        </details>
      )}
    </>
  );
}

function MovedList({ moved, figure }: Omit<MovedProps, "title">) {
  return (
    <ul className="model-moved">
      {moved.map(({ question, one, other }) => (
        <li key={question}>
          <span>{question}</span>
          <span className="fine">
            {figure(one)} → {figure(other)}
          </span>
        </li>
      ))}
    </ul>
  );
}
