import { useEffect, useState } from "react";
import { useSpeech } from "../language/language.tsx";
import { askAppliance } from "../session/requests.ts";

type Way = { readonly by: "mesh" | "address" | "tunnel"; readonly url: string };

/** How rented machines reach Nika, as of when the screen was opened. */
export function Reach() {
  const { gpu } = useSpeech().words;
  const [way, setWay] = useState<Way>();
  useEffect(() => {
    let isGone = false;
    askAppliance<{ mesh: { way: Way } }>("POST", "/nika/gpu/providers", { body: {} }).then(
      ({ mesh }) => isGone || setWay(mesh.way),
      () => undefined,
    );
    return () => {
      isGone = true;
    };
  }, []);
  if (!way) return null;
  const where = way.by === "tunnel" ? gpu.reach.tunnel : gpu.reach[way.by](new URL(way.url).host);
  return (
    <p className="fine" data-testid="gpu-reach">
      {where}
    </p>
  );
}
