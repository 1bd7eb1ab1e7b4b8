// Drives sends and logins of auth0-auth-js, unmodified, and prints what each gave as one JSON object.
import { AuthClient } from "@auth0/auth0-auth-js";

const { SIMULATOR_DOMAIN: domain, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret } = process.env;
const client = new AuthClient({ domain, clientId, clientSecret });

async function code(recipient) {
  const answer = await fetch(`https://${domain}/simulator/codes/${encodeURIComponent(recipient)}`);
  return (await answer.json()).code;
}

const email = "auth-js@example.com";
const phoneNumber = "+12015550101";

await client.passwordless.sendEmail({ email, language: "fr-CA" });
const emailLogin = await client.getTokenByPasswordlessEmail({ email, code: await code(email), scope: "openid email" });
await client.passwordless.sendSms({ phoneNumber });
const smsLogin = await client.getTokenByPasswordlessSms({
  phoneNumber,
  code: await code(phoneNumber),
  scope: "openid phone",
});

console.log(JSON.stringify({ emailLogin, smsLogin }));
