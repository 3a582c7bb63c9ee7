import type { SpendView } from "../../../convex/model/budget.ts";
import { useSpeech } from "../language/language.tsx";
import { useMoney } from "./money.ts";

/** Four numbers that are always there. */
export function Figures({ spend }: { spend: SpendView }) {
  const { words, number } = useSpeech();
  const { gpu, gpuDetail } = words;
  const money = useMoney();
  const figures = [
    { name: "hourly", text: gpu.perHour(money(spend.hourly)), label: gpu.figures.hourly },
    { name: "reserved", text: money(spend.reserved), label: gpu.figures.reserved },
    { name: "today", text: money(spend.spentToday), label: gpu.figures.today },
    { name: "worst", text: money(spend.orphanWorst), label: gpu.figures.worst },
  ];
  return (
    <>
      <dl className="gpu-figures">
        {figures.map(({ name, text, label }) => (
          <div key={name}>
            <dt>{label}</dt>
            <dd data-testid={`gpu-${name}`}>{text}</dd>
          </div>
        ))}
      </dl>
      {spend.nearly.map(({ what, share }) => (
        <p key={what} className="fine">
          {gpuDetail.nearly[what](number(Math.round(share * 100)))}
        </p>
      ))}
    </>
  );
}
