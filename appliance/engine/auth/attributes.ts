/** A token's claims as `ctx.auth.getUserIdentity()` returns them. */

/** Standard claims (OpenID Connect Core 5.1) get camel-cased names; others keep theirs. */
const standardClaims: Readonly<Record<string, string>> = {
  name: "name",
  given_name: "givenName",
  family_name: "familyName",
  middle_name: "middleName",
  nickname: "nickname",
  preferred_username: "preferredUsername",
  profile: "profileUrl",
  picture: "pictureUrl",
  website: "websiteUrl",
  email: "email",
  email_verified: "emailVerified",
  gender: "gender",
  birthdate: "birthday",
  zoneinfo: "timezone",
  locale: "language",
  phone_number: "phoneNumber",
  phone_number_verified: "phoneNumberVerified",
  address: "address",
  updated_at: "updatedAt",
};
/** About the token, not the person. */
const envelopeClaims = new Set(["iss", "sub", "aud", "exp", "iat", "nbf", "jti"]);

export function toAttributes(issuer: string, claims: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const subject = String(claims["sub"]);
  const attributes: Record<string, unknown> = { tokenIdentifier: `${issuer}|${subject}`, issuer, subject };
  for (const [claim, value] of Object.entries(claims)) {
    if (envelopeClaims.has(claim) || value === null || value === undefined) continue;
    const name = standardClaims[claim];
    // A foreign claim may not pass for one of ours.
    if (name === undefined && claim in attributes) continue;
    attributes[name ?? claim] = claim === "updated_at" && typeof value === "number" ? String(value) : value;
  }
  return attributes;
}
