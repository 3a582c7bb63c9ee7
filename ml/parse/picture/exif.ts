/** When a camera says it took a picture. */

const original = 0x9003;
const digitized = 0x9004;
const changed = 0x0132;
const subDirectory = 0x8769;

/** From the EXIF block of an image, as milliseconds since 1970; undefined when it says nothing. Cameras tell local time: it is taken as UTC. */
export function exifDate(exif: Uint8Array): number | undefined {
  const bytes = Buffer.from(exif.buffer, exif.byteOffset, exif.byteLength);
  const start = bytes.subarray(0, 6).toString("latin1") === "Exif\0\0" ? 6 : 0;
  const order = bytes.subarray(start, start + 2).toString("latin1");
  if (order !== "II" && order !== "MM") return undefined;
  const isLittle = order === "II";
  const read16 = (at: number): number => (at + 2 > bytes.length ? 0 : isLittle ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const read32 = (at: number): number => (at + 4 > bytes.length ? 0 : isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const dates = new Map<number, string>();
  const walk = (offset: number, depth: number): void => {
    const at = start + offset;
    const count = Math.min(read16(at), 200);
    for (let entry = 0; entry < count; entry += 1) {
      const from = at + 2 + entry * 12;
      const tag = read16(from);
      if (tag === subDirectory && depth < 2) walk(read32(from + 8), depth + 1);
      if (tag === original || tag === digitized || tag === changed) {
        const text = bytes.subarray(start + read32(from + 8), start + read32(from + 8) + 19).toString("latin1");
        dates.set(tag, text);
      }
    }
  };
  walk(read32(start + 4), 0);
  for (const tag of [original, digitized, changed]) {
    const found = /^(\d{4}):(\d{2}):(\d{2}) (\d{2}):(\d{2}):(\d{2})$/u.exec(dates.get(tag) ?? "");
    if (!found) continue;
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1).map(Number);
    if (year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31)
      return Date.UTC(year, month - 1, day, hour, minute, second);
  }
  return undefined;
}
