// An OpenID provider on loopback: node-oidc-provider with its own pages. Any password signs in; the name decides the roles.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, callback, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: "console", client_secret: secret, redirect_uris: [callback], grant_types: ["authorization_code"], response_types: ["code"] }],
  cookies: { keys: ["of the test"] },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["roles"] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, roles: id === "nemo" ? ["visitors"] : ["staff", `gatepost-${id}`] }),
  }),
});
createServer(provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("ready"));
