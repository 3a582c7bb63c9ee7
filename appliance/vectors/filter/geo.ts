/** Places on the globe: what is inside a circle, a box, a polygon. Degrees in, metres where a distance is meant. */
import { isObject, refuseOthers, toArray, toNumber, toObject, type Json } from "../body.ts";
import { badFormat, invalid } from "../refusal.ts";

export type GeoPoint = { readonly lon: number; readonly lat: number };
export type Area =
  | { readonly type: "circle"; readonly center: GeoPoint; readonly radius: number }
  | { readonly type: "box"; readonly topLeft: GeoPoint; readonly bottomRight: GeoPoint }
  | { readonly type: "polygon"; readonly exterior: readonly GeoPoint[]; readonly interiors: readonly (readonly GeoPoint[])[] };

// The mean radius of the Earth that Qdrant's geometry library uses (IUGG).
const earthRadiusMetres = 6_371_008.8;
const radians = Math.PI / 180;

/** Great-circle distance in metres, by the haversine formula. */
export function distanceMetres(a: GeoPoint, b: GeoPoint): number {
  const half = Math.sin(((b.lat - a.lat) * radians) / 2) ** 2;
  const chord = half + Math.cos(a.lat * radians) * Math.cos(b.lat * radians) * Math.sin(((b.lon - a.lon) * radians) / 2) ** 2;
  return 2 * earthRadiusMetres * Math.asin(Math.sqrt(chord));
}

/** A place as payloads hold it, `{lon, lat}`; undefined for anything else. */
export function findGeoPoint(value: unknown): GeoPoint | undefined {
  if (!isObject(value)) return undefined;
  const { lon, lat } = value;
  return typeof lon === "number" && typeof lat === "number" ? { lon, lat } : undefined;
}

/** A place on the globe: what a geo index takes in. */
export const isOnGlobe = ({ lon, lat }: GeoPoint): boolean => Math.abs(lon) <= 180 && Math.abs(lat) <= 90;

export function toGeoPoint(value: unknown, path: string): GeoPoint {
  const body = toObject(value, path);
  refuseOthers(body, ["lon", "lat"], path);
  const point = { lon: toNumber(body["lon"], `${path}.lon`), lat: toNumber(body["lat"], `${path}.lat`) };
  if (!isOnGlobe(point)) throw badFormat(`${path}: wrong values of lon or lat: ${point.lon}, ${point.lat}`);
  return point;
}

export function parseCircle(body: Json): Area {
  refuseOthers(body, ["center", "radius"], "geo_radius");
  return {
    type: "circle",
    center: toGeoPoint(body["center"], "geo_radius.center"),
    radius: toNumber(body["radius"], "geo_radius.radius"),
  };
}

export function parseBox(body: Json): Area {
  refuseOthers(body, ["top_left", "bottom_right"], "geo_bounding_box");
  return {
    type: "box",
    topLeft: toGeoPoint(body["top_left"], "geo_bounding_box.top_left"),
    bottomRight: toGeoPoint(body["bottom_right"], "geo_bounding_box.bottom_right"),
  };
}

export function parsePolygon(body: Json): Area {
  refuseOthers(body, ["exterior", "interiors"], "geo_polygon");
  const interiors = toArray(body["interiors"] ?? [], "geo_polygon.interiors");
  return { type: "polygon", exterior: toRing(body["exterior"]), interiors: interiors.map(toRing) };
}

const ringPointsMin = 4;

function toRing(value: unknown): GeoPoint[] {
  const points = toArray(toObject(value, "geo_polygon")["points"], "geo_polygon.points").map((point) =>
    toGeoPoint(point, "geo_polygon.points"),
  );
  if (points.length < ringPointsMin)
    throw invalid("geo_polygon", `polygon invalid, the size must be at least ${ringPointsMin}, got ${points.length}`);
  const [first, last] = [points[0]!, points.at(-1)!];
  if (first.lon !== last.lon || first.lat !== last.lat)
    throw invalid("geo_polygon", "polygon invalid, the first and the last points should be the same to form a closed line");
  return points;
}

/** True inside; on a border it is false, as it is for Qdrant. */
export function isInside(area: Area, point: GeoPoint): boolean {
  switch (area.type) {
    case "circle":
      return distanceMetres(area.center, point) < area.radius;
    case "box": {
      const { topLeft, bottomRight } = area;
      const isWestOfEnd = point.lon < bottomRight.lon;
      const isEastOfStart = point.lon > topLeft.lon;
      // A box whose west lies east of its east goes over the date line.
      const isBetween = topLeft.lon > bottomRight.lon ? isEastOfStart || isWestOfEnd : isEastOfStart && isWestOfEnd;
      return isBetween && bottomRight.lat < point.lat && point.lat < topLeft.lat;
    }
    case "polygon":
      return sideOf(area.exterior, point) === "inside" && area.interiors.every((ring) => sideOf(ring, point) === "outside");
  }
}

/** By counting how often a ray to the east crosses the ring. */
function sideOf(ring: readonly GeoPoint[], { lon, lat }: GeoPoint): "inside" | "outside" | "border" {
  let isIn = false;
  for (let i = 1; i < ring.length; i++) {
    const a = ring[i - 1]!;
    const b = ring[i]!;
    const cross = (b.lon - a.lon) * (lat - a.lat) - (b.lat - a.lat) * (lon - a.lon);
    const isAlong =
      Math.min(a.lon, b.lon) <= lon &&
      lon <= Math.max(a.lon, b.lon) &&
      Math.min(a.lat, b.lat) <= lat &&
      lat <= Math.max(a.lat, b.lat);
    if (cross === 0 && isAlong) return "border";
    if (a.lat > lat !== b.lat > lat && lon < ((b.lon - a.lon) * (lat - a.lat)) / (b.lat - a.lat) + a.lon) isIn = !isIn;
  }
  return isIn ? "inside" : "outside";
}
