import { useQuery } from "convex/react";
import { api } from "../../../convex/_generated/api.js";
import { useBillFact } from "./bills.tsx";
import { useSpeech } from "../language/language.tsx";
import { Reach } from "./reach.tsx";

/** Where machines may be had: when each account was last looked through, and what a paid test showed of it. */
export function Accounts() {
  const { words, when, number } = useSpeech();
  const { gpu } = words;
  const billFact = useBillFact();
  const sweeps = useQuery(api.gpuSweeps.list);
  const proofs = useQuery(api.gpuProofs.list);
  if (sweeps === undefined || proofs === undefined) return null;
  const names = [...new Set([...sweeps.map(({ provider }) => provider), ...proofs.map(({ provider }) => provider)])].toSorted();
  return (
    <section className="gpu-part" data-testid="gpu-accounts">
      <h2>{gpu.accounts}</h2>
      <ul className="rows">
        {names.map((name) => {
          const sweep = sweeps.find(({ provider }) => provider === name);
          const proof = proofs.find(({ provider }) => provider === name);
          const facts = [
            ...(sweep?.wholeAt !== undefined ? [gpu.lookedThrough(when(sweep.wholeAt), number(sweep.ours))] : []),
            proof ? (proof.passed ? gpu.proven(when(proof.at)) : gpu.notProven(when(proof.at))) : gpu.neverProven,
            billFact(name) ?? "",
          ].filter(Boolean);
          return (
            <li key={name} className="row gpu-machine">
              <span className="row-name">
                <span className="document-name">{name === "local" ? gpu.local : name}</span>
                <span className="row-facts">{facts.join(" · ")}</span>
                {sweep?.failure !== undefined && <span className="row-why">{words.gpuDetail.notRead(sweep.failure)}</span>}
              </span>
            </li>
          );
        })}
      </ul>
      <Reach />
      <p className="fine">{gpu.connectHint}</p>
    </section>
  );
}
