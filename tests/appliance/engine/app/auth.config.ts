export default {
  providers: [
    {
      type: "customJwt",
      issuer: "https://test.internal",
      applicationID: "app",
      jwks: process.env["TEST_JWKS"],
      algorithm: "ES256",
    },
  ],
};
