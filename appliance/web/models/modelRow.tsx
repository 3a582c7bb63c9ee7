import { useMutation } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { wantedOf, type GenerationsView } from "../../../convex/model/generation.ts";
import type { ModelResult, ModelView } from "../../../convex/model/model.ts";
import { modelCard } from "../../../convex/model/modelCard.ts";
import { Icon } from "../components/icon.tsx";
import { useAttempt } from "../components/notice.tsx";
import { useSpeech } from "../language/language.tsx";
import type { Words } from "../language/words.ts";
import { refusalOf } from "./refusal.ts";

/** A model: its verdict, all that it rests on, and what can be done with it. */
export function ModelRow({ model, generations }: { model: ModelView; generations: GenerationsView }) {
  const { words, when } = useSpeech();
  const said = words.models;
  const { id, at, state, result } = model;
  const { live } = generations;
  const isInForce = live !== null && wantedOf(live.embedderId ?? live.wanted) === id;
  const verdict = result ? said.verdicts[result.verdict] : said.states[state];
  return (
    <li className="row model-row" data-testid="model-row" data-verdict={result?.verdict ?? state}>
      <div className="row-head">
        <span className="row-name">
          <span>
            {said.model(id.slice(0, 8))} · {verdict}
            {isInForce && ` · ${said.now}`}
          </span>
          <span className="row-facts">{when(at)}</span>
          <Why model={model} />
        </span>
      </div>
      {result && (
        <>
          <Ways model={model} isInForce={isInForce} isMoving={generations.moving !== null} />
          <details>
            <summary>{said.evidence}</summary>
            <Evidence result={result} seed={model.seed} />
          </details>
        </>
      )}
    </li>
  );
}

/** Why it is not better, in the words of the page; the figures stand below. */
function Why({ model: { result, problem } }: { model: ModelView }) {
  const { words, number } = useSpeech();
  const said = words.models;
  const failed = result?.checks.filter(({ passed }) => !passed) ?? [];
  if (result?.verdict === "better") {
    const { gain = 0, hybridDifference } = result.trained ?? {};
    const { mean = 0 } = hybridDifference ?? {};
    return <span className="row-facts">{said.gained(`${number(Math.round(gain * 100))}\u00a0%`, signed(mean, number))}</span>;
  }
  if (failed.length > 0)
    return (
      <span className="row-why" data-testid="model-why">
        {said.whyNot}
        {failed.map(({ name }) => nameOfCheck(name, said)).join("; ")}
      </span>
    );
  const says = result?.says ?? problem ?? "";
  return (
    <span className="row-why" data-testid="model-why">
      {result && `${said.refusedFor} `}
      {refusalOf(says, said) ?? <span lang="en">{says}</span>}
    </span>
  );
}

/** What a condition asks, for who never heard of its measure; kinds of papers have their own names. */
function nameOfCheck(name: string, said: Words["models"]): string {
  const known: Readonly<Record<string, string>> = said.checkNames;
  return known[name] ?? said.sliceOf(name);
}

function Ways({ model, isInForce, isMoving }: { model: ModelView; isInForce: boolean; isMoving: boolean }) {
  const { models: said } = useSpeech().words;
  const deploy = useMutation(api.generations.deploy);
  const attempt = useAttempt();
  const { id, result } = model;
  const card = `data:text/markdown;charset=utf-8,${encodeURIComponent(modelCard(model, { isInForce }))}`;
  return (
    <p className="model-ways">
      {result?.verdict === "better" && !isInForce && (
        <button
          type="button"
          className="button small primary"
          disabled={isMoving}
          data-testid="model-deploy"
          onClick={() => attempt(() => deploy({ modelId: id }))}
        >
          <span className="button-text">{said.deploy}</span>
        </button>
      )}
      <a className="button small" href={card} download={`model-${id.slice(0, 8)}.md`} data-testid="model-card">
        <span className="button-text">{said.card}</span>
      </a>
    </p>
  );
}

function Evidence({ result, seed }: { result: ModelResult; seed: number }) {
  const { words, number } = useSpeech();
  const said = words.models;
  const { trained, checks } = result;
  const share = (value: number): string => signed(value, number);
  const differences = trained
    ? ([
        [said.byVectors, trained.denseDifference],
        [said.byBoth, trained.hybridDifference],
      ] as const)
    : [];
  return (
    <div className="model-evidence" data-testid="model-evidence">
      <p className="fine">
        {said.madeOf(number(result.trainingPairs), number(result.askedPairs), number(result.documents))}{" "}
        {result.written && `${said.madeBy(number(result.written.pairs), result.written.by.join(", "))} `}
        {said.judgedBy(number(result.testQuestions), number(result.madeTestQuestions))} {said.seed(seed)}
      </p>
      {differences.length > 0 && (
        <table className="model-table">
          <thead>
            <tr>
              <th scope="col">NDCG@10</th>
              <th scope="col">{said.difference}</th>
              <th scope="col">95 %</th>
            </tr>
          </thead>
          <tbody>
            {differences.map(([name, { mean, from, to }]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{share(mean)}</td>
                <td>
                  {share(from)} … {share(to)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {checks.length > 0 && <h3>{said.conditions}</h3>}
      <ul className="model-checks">
        {checks.map(({ name, passed, says }) => (
          <li key={name} className={passed ? "is-met" : "is-missed"}>
            <Icon name={passed ? "check" : "alert"} />
            <span>
              <span className="unseen">{passed ? said.met : said.missed} </span>
              <strong>{nameOfCheck(name, said)}</strong>{" "}
              <span className="fine" lang="en">
                {says}
              </span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

const signed = (value: number, number: (value: number) => string): string =>
  `${value >= 0 ? "+" : "−"}${number(Math.abs(Math.round(value * 1_000) / 1_000))}`;
