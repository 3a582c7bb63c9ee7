import assert from "node:assert/strict";
import { test } from "node:test";
import { checkVat, isIban, isSiren, isSiret } from "../../../../ml/parse/elements/checkDigits.ts";
import { contradictions, contradictionsIn } from "../../../../ml/parse/elements/contradictions.ts";
import { elementsIn } from "../../../../ml/parse/elements/elements.ts";
import { toNumber } from "../../../../ml/parse/elements/written.ts";

async function found(text: string): Promise<string[]> {
  const elements = await elementsIn([{ text }]);
  return elements
    .map(({ type, value, isValid }) => `${type} ${value}${isValid === undefined ? "" : isValid ? " valid" : " wrong"}`)
    .toSorted();
}

const table: readonly (readonly [text: string, ...elements: string[]])[] = [
  ["IBAN : FR76 3000 6000 0112 3456 7890 189 BIC AGRI", "iban FR7630006000011234567890189 valid"],
  ["IBAN FR76 3000 6000 0112 3456 7890 188", "iban FR7630006000011234567890188 wrong"],
  ["pay to DE89370400440532013000 soon", "iban DE89370400440532013000 valid"],
  ["N° TVA FR 40 303 265 045", "vat FR40303265045 valid"],
  ["USt-IdNr. DE136695976", "vat DE136695976 valid"],
  ["TVA : FR41303265045", "vat FR41303265045 wrong"],
  ["SIRET 732 829 320 00074, SIREN 732829320", "siren 732829320 valid", "siret 73282932000074 valid"],
  ["SIRET : 732 829 320 00075", "siret 73282932000075 wrong"],
  ["a number 732829320 alone says nothing"],
  ["Tél. 01 42 68 53 00", "phone +33142685300 valid"],
  ["+49 30 901820 oder info@nika.example.org", "email info@nika.example.org", "phone +4930901820 valid"],
  ["le 3 juin 2024, échu le 15/07/2024", "date 2024-06-03", "date 2024-07-15"],
  ["March 9, 2021 and 1st of April 2022 and 2020-02-29", "date 2020-02-29", "date 2021-03-09", "date 2022-04-01"],
  ["le 31/02/2024 n'existe pas, la version 1.2.3 non plus"],
  ["Total : 1 234,50 € TTC", "amount 1234.5 EUR"],
  [
    "$1,234.56, £12 million, 12,4 M€ et 1.028,75 EUR",
    "amount 1028.75 EUR",
    "amount 12000000 GBP",
    "amount 1234.56 USD",
    "amount 12400000 EUR",
  ],
  ["perçage ⌀25 H7, entraxe 12,5 ±0,1", "diameter ⌀25 H7", "dimension 12.5 ±0.1"],
  [
    "Filetage M8x1.25, vis M6x20, Ra 1.6, R5, 1x45°",
    "chamfer 1x45°",
    "radius R5",
    "roughness Ra 1.6",
    "thread M6 length 20",
    "thread M8x1.25",
  ],
  [
    "⌀20 +0,02/-0,01 ⌖ ⌀0,1 A B ⊥ 0.05 A",
    "diameter ⌀20 +0.02/-0.01",
    "geometricTolerance perpendicularity 0.05 A",
    "geometricTolerance position ⌀0.1 A B",
  ],
  ["ajustement 40 H7/g6 selon ISO 2768", "dimension 40 H7/g6"],
  ["The train R5 leaves at 45° north of M8 town."],
];

for (const [text, ...elements] of table)
  test(`facts in ${JSON.stringify(text)}`, async () => {
    assert.deepEqual(await found(text), elements.toSorted());
  });

test("facts that prove themselves come first, each once, with its page", async () => {
  const elements = await elementsIn([
    { text: "le 3 juin 2024", page: 1 },
    { text: "IBAN DE89 3704 0044 0532 0130 00, le 3 juin 2024", page: 2 },
  ]);

  assert.deepEqual(
    elements.map(({ type, page }) => [type, page]),
    [
      ["iban", 2],
      ["date", 1],
    ],
  );
});

test("check digits hold for true numbers and for none that differs in a digit", () => {
  const numbers: readonly (readonly [(text: string) => boolean, string])[] = [
    [isIban, "GB82WEST12345698765432"],
    [isIban, "BE68539007547034"],
    [isIban, "NL91ABNA0417164300"],
    [isSiren, "732829320"],
    [isSiret, "73282932000074"],
    ...[
      "FR40303265045",
      "DE136695976",
      "BE0776091951",
      "IT00743110157",
      "ESA58818501",
      "LU26375245",
      "PT501442600",
      "PL5260001246",
      "ATU13585627",
      "DK13585628",
      "FI20774740",
      "SE556188840401",
    ].map((vat) => [(text: string) => checkVat(text.slice(0, 2), text.slice(2)).isValid === true, vat] as const),
  ];
  for (const [isValid, number] of numbers) {
    assert.ok(isValid(number), number);
    const at = number.search(/\d(?=\D*\d\D*$)/u);
    const other = number.slice(0, at) + ((Number(number[at]) + 1) % 10) + number.slice(at + 1);
    assert.ok(!isValid(other), other);
  }
});

test("numbers are read as French, German and English write them", () => {
  const written = ["1 234,50", "1.234,50", "1,234.50", "1234.5", "12,4", "1,234", "0,125", "1’234’567"];

  assert.deepEqual(written.map(toNumber), [1234.5, 1234.5, 1234.5, 1234.5, 12.4, 1234, 0.125, 1234567]);
});

test("a number stated of a figure that shows another is a contradiction", () => {
  const stated = "Figure 2 : chiffre d'affaires 2024 : 12,4 M€";

  assert.deepEqual(contradictions(stated, "Chiffre d'affaires 2024 13,4 M€"), [
    { label: "Figure 2 : chiffre d'affaires 2024", stated: "12,4 M€", read: "13,4 M€" },
  ]);
  for (const harmless of [
    "Chiffre d'affaires 2024 12,4 M€",
    "Chiffre d'affaires 2024 : 12 437 000 €",
    "Chiffre d'affaires 2023 11,0 M€",
    "Résultat net 2024 1,4 M€",
    "Chiffre d'affaires 2024 13,4 %",
    "Chiffre(?) d'affaires 2024 13,4 M€",
    "13,4 M€",
    "Chiffre d'affaires 2024 13,4 M€\nChiffre d'affaires 2024 12,4 M€",
  ])
    assert.deepEqual(contradictions(stated, harmless), [], harmless);
});

test("a sentence elsewhere in the document that names the figure is held against it", () => {
  const blocks = [
    { type: "paragraph", text: "Nothing here. As figure 3 shows, the energy used in 2023 was 450 kWh.", place: { page: 1 } },
    { type: "figure", caption: "Figure 3: energy", text: "Energy used 2023 540 kWh", place: { page: 2 } },
  ] as const;

  assert.deepEqual(
    contradictionsIn(blocks).map(({ stated, read, page }) => ({ stated, read, page })),
    [{ stated: "450 kWh", read: "540 kWh", page: 2 }],
  );
});
