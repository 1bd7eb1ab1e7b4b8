// Send an e-mail with celery-node (npm install celery-node@0.5.9), and print the operation's id.
import celery from "celery-node";

const redis = process.env.GATEPOST_REDIS_URL;
const client = celery.createClient(redis, redis, "gatepost.send");
const result = client.createTask("gatepost.submit").applyAsync([{ kind: "send_email", email: process.argv[2] }]);
try {
  const { operation_id } = await result.get(30_000);
  console.log(JSON.stringify({ operation_id }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, result: error.result }));
}
await client.disconnect();
