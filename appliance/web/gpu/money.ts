import { useCallback } from "react";
import { useSpeech } from "../language/language.tsx";

const micros = 1_000_000;

/** Amounts in the page's language; what is small keeps four digits, so that it does not look like nothing. */
export function useMoney(): (amount: number, currency?: "EUR" | "USD") => string {
  const { language } = useSpeech();
  return useCallback(
    (amount, currency = "EUR") => {
      const value = amount / micros;
      const maximumFractionDigits = value === 0 || value >= 0.1 ? 2 : 4;
      return new Intl.NumberFormat(language, { style: "currency", currency, maximumFractionDigits }).format(value);
    },
    [language],
  );
}
