/** Check digits of numbers that firms and banks are known by. Every function takes the number without spaces, in capitals. */

/** ISO 7064 mod 97-10 over the rearranged IBAN. */
export function isIban(iban: string): boolean {
  const length = ibanLengths[iban.slice(0, 2)];
  if (length === undefined || iban.length !== length || !/^[A-Z]{2}\d{2}[A-Z0-9]+$/u.test(iban)) return false;
  return mod97(iban.slice(4) + iban.slice(0, 4)) === 1;
}

/** Of digits and letters, letters counting from A = 10. */
function mod97(text: string): number {
  let rest = 0;
  for (const char of text) {
    const value = Number.parseInt(char, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest;
}

/** Luhn's sum, as SIREN and SIRET use it. */
export function isLuhn(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = Number(digits[digits.length - 1 - at]);
    sum += at % 2 === 0 ? digit : digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
  }
  return digits.length > 0 && sum % 10 === 0;
}

/** Fourteen digits by Luhn; the Post Office's own establishments use a plain sum of digits divisible by 5. */
export function isSiret(digits: string): boolean {
  if (!/^\d{14}$/u.test(digits)) return false;
  if (isLuhn(digits)) return true;
  return digits.startsWith("356000000") && Array.from(digits, Number).reduce((sum, digit) => sum + digit, 0) % 5 === 0;
}

export function isSiren(digits: string): boolean {
  return /^\d{9}$/u.test(digits) && isLuhn(digits) && digits !== "000000000";
}

/** Lengths by country, from the SWIFT registry, for Europe and those most traded with. */
const ibanLengths: Readonly<Record<string, number>> = {
  AD: 24,
  AE: 23,
  AL: 28,
  AT: 20,
  BA: 20,
  BE: 16,
  BG: 22,
  CH: 21,
  CY: 28,
  CZ: 24,
  DE: 22,
  DK: 18,
  EE: 20,
  ES: 24,
  FI: 18,
  FO: 18,
  FR: 27,
  GB: 22,
  GE: 22,
  GI: 23,
  GR: 27,
  HR: 21,
  HU: 28,
  IE: 22,
  IL: 23,
  IS: 26,
  IT: 27,
  LI: 21,
  LT: 20,
  LU: 20,
  LV: 21,
  MA: 28,
  MC: 27,
  MD: 24,
  ME: 22,
  MK: 19,
  MT: 31,
  NL: 18,
  NO: 15,
  PL: 28,
  PT: 25,
  RO: 24,
  RS: 22,
  SE: 24,
  SI: 19,
  SK: 24,
  SM: 27,
  TN: 24,
  TR: 26,
  UA: 29,
};

type VatRule = { readonly shape: RegExp; readonly isValid?: (body: string) => boolean };

const digitsOf = (text: string): number[] => Array.from(text, Number);
const weighted = (digits: readonly number[], weights: readonly number[]): number =>
  weights.reduce((sum, weight, at) => sum + weight * (digits[at] ?? 0), 0);

/** Shapes of the numbers after the country's letters, and their check digits where the rule is public. */
const vatRules: Readonly<Record<string, VatRule>> = {
  FR: {
    shape: /^[0-9A-HJ-NP-Z]{2}\d{9}$/u,
    isValid: (body) => {
      const siren = body.slice(2);
      // Keys with letters follow another sum; their SIREN still has its own check digit.
      if (!/^\d{2}/u.test(body)) return isLuhn(siren);
      return isLuhn(siren) && Number(body.slice(0, 2)) === (12 + 3 * (Number(siren) % 97)) % 97;
    },
  },
  DE: {
    shape: /^[1-9]\d{8}$/u,
    isValid: (body) => {
      let product = 10;
      for (const digit of digitsOf(body.slice(0, 8))) product = (((digit + product) % 10 || 10) * 2) % 11;
      return (11 - product) % 10 === Number(body[8]);
    },
  },
  BE: { shape: /^[01]\d{9}$/u, isValid: (body) => 97 - (Number(body.slice(0, 8)) % 97) === Number(body.slice(8)) },
  IT: { shape: /^\d{11}$/u, isValid: isLuhn },
  ES: {
    shape: /^[A-Z0-9]\d{7}[A-Z0-9]$/u,
    isValid: (body) => {
      const letters = "TRWAGMYFPDXBNJZSQVHLCKE";
      if (/^[\dXYZ]/u.test(body)) {
        const number = Number(body.slice(0, 8).replace(/^[XYZ]/u, (letter) => String("XYZ".indexOf(letter))));
        return letters[number % 23] === body[8];
      }
      const sum = digitsOf(body.slice(1, 8)).reduce((sum, digit, at) => {
        if (at % 2 === 1) return sum + digit;
        return sum + Math.floor((digit * 2) / 10) + ((digit * 2) % 10);
      }, 0);
      const control = (10 - (sum % 10)) % 10;
      return body[8] === String(control) || body[8] === "JABCDEFGHI"[control];
    },
  },
  NL: {
    shape: /^\d{9}B\d{2}$/u,
    isValid: (body) =>
      weighted(digitsOf(body.slice(0, 8)), [9, 8, 7, 6, 5, 4, 3, 2]) % 11 === Number(body[8]) || mod97(`NL${body}`) === 1,
  },
  LU: { shape: /^\d{8}$/u, isValid: (body) => Number(body.slice(0, 6)) % 89 === Number(body.slice(6)) },
  PT: {
    shape: /^[1-9]\d{8}$/u,
    isValid: (body) => {
      const rest = 11 - (weighted(digitsOf(body), [9, 8, 7, 6, 5, 4, 3, 2]) % 11);
      return (rest > 9 ? 0 : rest) === Number(body[8]);
    },
  },
  PL: { shape: /^\d{10}$/u, isValid: (body) => weighted(digitsOf(body), [6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 === Number(body[9]) },
  AT: {
    shape: /^U\d{8}$/u,
    isValid: (body) => {
      const digits = digitsOf(body.slice(1));
      const sum = digits.slice(0, 7).reduce((sum, digit, at) => {
        return at % 2 === 0 ? sum + digit : sum + Math.floor(digit / 5) + ((digit * 2) % 10);
      }, 0);
      return (10 - ((sum + 4) % 10)) % 10 === digits[7];
    },
  },
  DK: { shape: /^\d{8}$/u, isValid: (body) => weighted(digitsOf(body), [2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0 },
  FI: {
    shape: /^\d{8}$/u,
    isValid: (body) => (11 - (weighted(digitsOf(body), [7, 9, 10, 5, 8, 4, 2]) % 11)) % 11 === Number(body[7]),
  },
  SE: { shape: /^\d{10}01$/u, isValid: (body) => isLuhn(body.slice(0, 10)) },
  EL: {
    shape: /^\d{9}$/u,
    isValid: (body) => (weighted(digitsOf(body), [256, 128, 64, 32, 16, 8, 4, 2]) % 11) % 10 === Number(body[8]),
  },
  SI: {
    shape: /^[1-9]\d{7}$/u,
    isValid: (body) => {
      const rest = 11 - (weighted(digitsOf(body), [8, 7, 6, 5, 4, 3, 2]) % 11);
      return rest !== 11 && rest % 10 === Number(body[7]);
    },
  },
  HU: {
    shape: /^\d{8}$/u,
    isValid: (body) => (10 - (weighted(digitsOf(body), [9, 7, 3, 1, 9, 7, 3]) % 10)) % 10 === Number(body[7]),
  },
  IE: { shape: /^\d[A-Z0-9+*]\d{5}[A-Z]{1,2}$/u },
  CZ: { shape: /^\d{8,10}$/u },
  SK: { shape: /^[1-9]\d{9}$/u, isValid: (body) => Number(body) % 11 === 0 },
  RO: { shape: /^[1-9]\d{1,9}$/u },
  BG: { shape: /^\d{9,10}$/u },
  HR: { shape: /^\d{11}$/u },
  EE: {
    shape: /^\d{9}$/u,
    isValid: (body) => (10 - (weighted(digitsOf(body), [3, 7, 1, 3, 7, 1, 3, 7]) % 10)) % 10 === Number(body[8]),
  },
  LV: { shape: /^\d{11}$/u },
  LT: { shape: /^(?:\d{9}|\d{12})$/u },
  MT: {
    shape: /^\d{8}$/u,
    isValid: (body) => 37 - (weighted(digitsOf(body), [3, 4, 6, 7, 8, 9]) % 37) === Number(body.slice(6)),
  },
  CY: { shape: /^\d{8}[A-Z]$/u },
};

/** Whether a VAT number has the shape of its country, and its check digits; `isValid` is undefined where the rule is not known here. */
export function checkVat(country: string, body: string): { hasShape: boolean; isValid: boolean | undefined } {
  const rule = vatRules[country === "GR" ? "EL" : country];
  if (!rule?.shape.test(body)) return { hasShape: false, isValid: undefined };
  return { hasShape: true, isValid: rule.isValid?.(body) };
}
