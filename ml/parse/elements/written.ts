/** Numbers as French and English write them: their digits, and the words behind them that multiply. */

/** Which of these words may stand behind a number is for whoever looks for it to say. */
export const scales: Readonly<Record<string, number>> = {
  k: 1e3,
  m: 1e6,
  md: 1e9,
  mds: 1e9,
  mrd: 1e9,
  million: 1e6,
  millions: 1e6,
  milliard: 1e9,
  milliards: 1e9,
  billion: 1e9,
  billions: 1e9,
  bn: 1e9,
  thousand: 1e3,
};

/** "1 234,50", "1.234,50", "1,234.50" and "1234.5" are numbers; a lone group of three after a comma or point is thousands. */
export function toNumber(digits: string): number | undefined {
  const plain = digits.replace("−", "-").replaceAll(/[\s\u00a0\u202f'’]/gu, "");
  const last = Math.max(plain.lastIndexOf(","), plain.lastIndexOf("."));
  if (last === -1) return finite(plain);
  const mark = plain[last] ?? ".";
  const other = mark === "," ? "." : ",";
  const isRepeated = plain.indexOf(mark) !== last;
  const decimals = plain.length - last - 1;
  const isThousands = isRepeated || (decimals === 3 && !plain.includes(other) && /^-?[1-9]\d{0,2}[.,]/u.test(plain));
  return finite(isThousands ? plain.replaceAll(/[.,]/gu, "") : plain.replaceAll(other, "").replace(mark, "."));
}

function finite(text: string): number | undefined {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) ? value : undefined;
}
