// Drives the four Passwordless methods of node-auth0, unmodified, and prints what each gave as one JSON object.
import { AuthenticationClient } from "auth0/legacy";

const { SIMULATOR_DOMAIN: domain, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret } = process.env;
const { passwordless } = new AuthenticationClient({ domain, clientId, clientSecret });

async function code(recipient) {
  const answer = await fetch(`https://${domain}/simulator/codes/${encodeURIComponent(recipient)}`);
  return (await answer.json()).code;
}

async function refusal(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { name: error.name, error: error.error, description: error.error_description, status: error.statusCode };
  }
}

const email = "node@example.com";
const phone_number = "+12015550100";

const sentEmail = await passwordless.sendEmail({ email, send: "code" });
const wrongCode = await refusal(async () =>
  passwordless.loginWithEmail({ email, code: (await code(email)) === "000000" ? "000001" : "000000" }),
);
const emailLogin = await passwordless.loginWithEmail({
  email,
  code: await code(email),
  scope: "openid profile email offline_access",
  audience: "https://api.example/",
});
const sentSms = await passwordless.sendSMS({ phone_number });
const smsLogin = await passwordless.loginWithSMS({ phone_number, code: await code(phone_number), scope: "openid" });
await passwordless.sendEmail({ email: "node+idtoken-bad-aud@example.com", send: "code" });
const badToken = await refusal(async () =>
  passwordless.loginWithEmail({
    email: "node+idtoken-bad-aud@example.com",
    code: await code("node+idtoken-bad-aud@example.com"),
    scope: "openid",
  }),
);
const badEmail = await refusal(() => passwordless.sendEmail({ email: "node+bad-email@example.com", send: "code" }));

console.log(
  JSON.stringify({
    sentEmail: { status: sentEmail.status, limit: sentEmail.headers.get("x-ratelimit-limit") },
    sentSms: { status: sentSms.status },
    emailLogin: emailLogin.data,
    smsLogin: smsLogin.data,
    wrongCode,
    badToken,
    badEmail,
  }),
);
